"""The report of targets without a cap for the staff, with a way to cap each (S44)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from common.fields import is_id
from common.transactions import run_in_transaction
from orgs.admin import MAX_CHOICES, ReadOnlyAdmin
from orgs.models import Organization
from spend.models import UncappedTarget
from spend.queries.uncapped import Uncapped, uncapped_targets


@admin.register(UncappedTarget)
class UncappedTargetAdmin(ReadOnlyAdmin):
    """One page: choose an organization, see what no enforced budget in money of its own scope limits."""

    def get_urls(self) -> list[URLPattern]:
        """The page; there are no rows to look at one by one."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="spend_uncappedtarget_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The report of ?organization=."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        customers = Organization.objects.filter(is_platform=False)
        name = request.GET.get("organization", "")
        chosen = customers.filter(pk=name).first() if is_id(name) else None
        context = {
            **self.admin_site.each_context(request),
            "title": "Uncapped targets",
            "opts": self.opts,
            "organizations": customers.order_by("name")[:MAX_CHOICES],
            "chosen": chosen,
            "rows": [] if chosen is None else _rows(chosen),
        }
        return TemplateResponse(request, "admin/spend/uncapped.html", context)


def _rows(organization: Organization) -> list[dict[str, Any]]:
    owner: UUID = organization.pk
    found = run_in_transaction(lambda cur: uncapped_targets(cur, organization=owner))
    return [
        {**row._asdict(), "target": row.target or _whole(row.scope), "form": _form(organization, row)}
        for row in found
    ]


def _whole(scope: str) -> str:
    return "the organization itself" if scope == "organization" else f"every {scope}"


def _form(organization: Organization, row: Uncapped) -> str:
    """The form of a new budget for the target, but for its limit."""
    stated = {
        "organization": organization.pk,
        "scope": row.scope,
        "target": row.target or "",
        "window": row.window,
        "unit": organization.currency,
    }
    return f"{reverse('admin:spend_budget_add')}?{urlencode(stated)}"

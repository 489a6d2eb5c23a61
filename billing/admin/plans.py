"""Plans for the staff: what each version sells, in tables; drafts are entered as documents and published after that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from billing.models import Plan, PlanVersion
from billing.operations.plans import archive_plan, create_plan, draft_version, publish_version
from billing.queries.plans import find_plan, find_version, key_is_taken, version_on_sale
from billing.rules.catalog import PlanVersion as Version
from billing.rules.plans import PlanTerms, parse_plan
from billing.rules.plantexts import charge_texts, credit_texts, feature_text, interval_text
from common import fields
from common.errors import NotFound, ProblemError
from common.fields import is_id
from common.money import format_amount
from common.strictjson import parse_object
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author

if TYPE_CHECKING:  # generic to the type checker only
    _VersionForm = forms.ModelForm[PlanVersion]
else:
    _VersionForm = forms.ModelForm

EXAMPLE = {
    "name": "Advanced",
    "interval": {"unit": "month", "count": 1},
    "currencies": ["USD"],
    "charges": [
        {
            "key": "base",
            "name": "Advanced plan",
            "kind": "recurring",
            "prices": {"USD": {"model": "flat", "amount": "49"}},
        }
    ],
    "features": {"max_agents": 25},
}


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    """Plans."""

    list_display = ("key", "name", "status", "latest", "created_at", "archived_at")
    list_filter = ("status",)
    search_fields = ("key", "name", "=id")
    actions = ("archive",)

    @admin.action(description="Take the chosen plans off sale for ever", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Plan]) -> None:
        """Archive each of them; who has it keeps it."""
        self.run(request, rows, lambda row, author, cur: archive_plan(cur, plan=str(row.id), author=author))


class PlanVersionForm(_VersionForm):
    """A new draft: of a plan that is there, or of a new one."""

    plan_key = forms.CharField(max_length=100, help_text="Of a plan that is there, or of a new one")
    document = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 30, "cols": 100}),
        initial=json.dumps(EXAMPLE, indent=2),
        help_text="What the version sells, as JSON: docs/plans.md",
    )

    class Meta:
        model = PlanVersion
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Judge it by the same rules as the API does, and tell everything that is wrong."""
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            values["plan_key"] = fields.key(values["plan_key"])
            values["terms"] = parse_plan(parse_object(values["document"].encode()))
        except ProblemError as error:
            said = [f"{wrong.pointer}: {wrong.detail}" for wrong in error.errors]
            raise ValidationError(said or [error.detail]) from None
        return values


@admin.register(PlanVersion)
class PlanVersionAdmin(ReadOnlyAdmin):
    """Versions of plans. Whoever may add them drafts; whoever may change them publishes."""

    form = PlanVersionForm
    list_display = ("plan_key", "number", "status", "created_at", "published_at", "archived_at")
    list_filter = ("status",)
    search_fields = ("plan_key", "=id", "=plan_id")
    fields: ClassVar = ("plan_key", "document")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add versions."""
        return bool(request.user.has_perm("billing.add_planversion"))

    def get_urls(self) -> list[URLPattern]:
        """The page that publishes, beside the usual ones."""
        view = self.admin_site.admin_view(self.publish_view)
        return [path("<str:name>/publish/", view, name="billing_planversion_publish"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Draft it by the operation."""
        key, terms = form.cleaned_data["plan_key"], form.cleaned_data["terms"]
        author = Author(f"staff:{request.user.pk}")
        made = run_in_transaction(lambda cur: _drafted(cur, key, terms, author))
        obj.id, obj.plan_key, obj.number = made.id, made.plan_key, made.number

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The form of a new draft, or a version in tables."""
        if object_id is not None:
            return self.shown(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def publish_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask once more; publish when that is answered."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        if request.method != "POST" or request.POST.get("confirmed") != "yes":
            return self.shown(request, name, confirming=True)
        version, _ = _found(name)
        author = Author(f"staff:{request.user.pk}")
        try:
            run_in_transaction(
                lambda cur: publish_version(
                    cur, plan=str(version.plan_id), number=version.number, author=author
                )
            )
            self.message_user(request, "Published.", messages.SUCCESS)
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:billing_planversion_change", args=[version.id]))

    def shown(self, request: HttpRequest, name: str, *, confirming: bool = False) -> HttpResponse:
        """A version in tables, with a button to publish a draft."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        version, on_sale = _found(name)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{version.plan_key}, version {version.number}",
            "opts": self.opts,
            "version": version,
            "terms": version.terms,
            "facts": _facts(version.terms),
            "charges": charge_texts(version.terms),
            "credits": credit_texts(version.terms),
            "features": [(name, feature_text(value)) for name, value in version.terms.features.items()],
            "on_sale": on_sale,
            "confirming": confirming,
            "may_publish": version.status == "draft" and self.has_operate_permission(request),
        }
        return TemplateResponse(request, "admin/billing/plan_version.html", context)


def _drafted(cur: Cursor, key: str, terms: PlanTerms, author: Author) -> Version:
    if key_is_taken(cur, key):
        return draft_version(cur, plan=key, terms=terms, author=author).version
    return create_plan(cur, key=key, terms=terms, author=author).version


def _found(name: str) -> tuple[Version, int | None]:
    """The version, and the number of the one on sale. Raises Http404."""
    if not is_id(name):
        raise Http404

    def read(cur: Cursor) -> tuple[Version, int | None]:
        version = find_version(cur, UUID(name))
        sold = version_on_sale(cur, find_plan(cur, str(version.plan_id)))
        return version, None if sold is None else sold.number

    try:
        return run_in_transaction(read)
    except NotFound:
        raise Http404 from None


def _limit_text(terms: PlanTerms) -> str:
    if terms.credit_limit is None:
        return "the organization's own"
    return ", ".join(f"{format_amount(units)} {currency}" for currency, units in terms.credit_limit.items())


def _facts(terms: PlanTerms) -> list[tuple[str, str]]:
    return [
        ("Period", interval_text(terms.interval)),
        ("Currencies", ", ".join(terms.currencies)),
        ("Trial", f"{terms.trial_days} days"),
        ("Proration", terms.proration.replace("_", " ")),
        ("Recognition", terms.recognition.replace("_", " ")),
        ("Upgrade", terms.upgrade.replace("_", " ")),
        ("Downgrade", terms.downgrade.replace("_", " ")),
        ("Funding", terms.funding.replace("_", " ")),
        ("Credit limit", _limit_text(terms)),
        ("Blocked time is credited", "yes" if terms.credit_blocked_time else "no"),
        ("Draft to final invoice", f"{terms.grace_hours} hours"),
        ("Due after", f"{terms.net_days} days"),
    ]

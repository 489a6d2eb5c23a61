"""Revenue metrics for the staff: one page with the figures of a month."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from billing.rules.months import month_text, next_month, parse_month
from common.errors import InvalidPeriod, ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.admin import ReadOnlyAdmin
from payouts.models import RevenueMetrics
from payouts.queries.metrics import reports as shows
from payouts.queries.metrics.asked import Asked, month_start
from payouts.queries.metrics.clock import now_of

MOST: Final = 10
"""So many customers and agents are shown."""


@admin.register(RevenueMetrics)
class RevenueMetricsAdmin(ReadOnlyAdmin):
    """Choose a month; see what recurred at its end, how it moved, what was earned, and with whom."""

    def get_urls(self) -> list[URLPattern]:
        """The page; there are no rows to look at one by one."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="payouts_revenuemetrics_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The figures of ?month=, of sandboxes where ?sandbox= is given."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Revenue metrics",
            "opts": self.opts,
            "month": request.GET.get("month", ""),
            "sandbox": bool(request.GET.get("sandbox")),
            **self._figures(request),
        }
        return TemplateResponse(request, "admin/payouts/revenue_metrics.html", context)

    def _figures(self, request: HttpRequest) -> dict[str, Any]:
        try:
            return run_in_transaction(lambda cur: _page(cur, _asked(cur, request)))
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return {}


def _asked(cur: Cursor, request: HttpRequest) -> Asked:
    """The month that is named, else the one that runs; as far as it is over. Raises InvalidField and InvalidPeriod."""
    cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    sandbox = bool(request.GET.get("sandbox"))
    now = now_of(cur, sandbox=sandbox)
    name = request.GET.get("month")
    month = parse_month(name) if name else now.date().replace(day=1)
    if month_start(month) > now:
        raise InvalidPeriod("This month has not begun.")
    until: datetime = min(month_start(next_month(month)), now)
    return Asked(month, month, until, sandbox=sandbox)


def _page(cur: Cursor, asked: Asked) -> dict[str, Any]:
    reports = (
        ("Recurring revenue", shows.mrr_rows(cur, asked)),
        ("Movements", shows.movement_rows(cur, asked)),
        ("Retention", [row for row in shows.retention_rows(cur, asked) if row["period"] != shows.TOTAL]),
        ("Revenue", shows.revenue_rows(cur, asked)),
        ("Margins by model", shows.margin_rows(cur, asked, "model")),
        ("Top customers", shows.top_customer_rows(cur, asked, MOST)),
        ("Top agents", shows.top_agent_rows(cur, asked, MOST)),
        ("Concentration", shows.concentration_rows(cur, asked, basis="mrr", count=MOST)),
    )
    tables = [
        {
            "title": title,
            "columns": list(rows[0]) if rows else [],
            "rows": [list(row.values()) for row in rows],
        }
        for title, rows in reports
    ]
    return {"tables": tables, "shown": month_text(asked.first), "until": asked.until}

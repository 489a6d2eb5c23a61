"""What customers are entitled to, for the staff: what the gate was told beside what the one resolver says."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from billing.queries.entitlements import entitlements
from billing.rules.plantexts import feature_text
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.queries.funding import line_mode
from orgs.admin import ReadOnlyAdmin
from spend.models import GateEntitlement
from spend.queries.budgets import business_now
from spend.rules.entitled import obeyed


@admin.register(GateEntitlement)
class GateEntitlementAdmin(ReadOnlyAdmin):
    """What the gate obeys of plans and contracts."""

    list_display = ("organization", "line", "line_source", "next_at", "published_at")
    list_filter = ("line",)
    search_fields = ("=organization",)
    readonly_fields = ("shown_funding", "shown_features")

    @admin.display(description="funding")
    def shown_funding(self, row: GateEntitlement) -> str:
        """What becomes of use that no credit covers, and who said so."""

        def read(cur: Cursor) -> str:
            found = line_mode(cur, organization=row.organization)
            limit = "" if found.limit is None else f" up to {format_amount(found.limit)}"
            return f"{found.mode}{limit}, by {row.line_source or 'organization'}"

        return run_in_transaction(read)

    @admin.display(description="entitled to")
    def shown_features(self, row: GateEntitlement) -> SafeString:
        """Every feature with its value now, its source, and whether the gate obeys it."""

        def read(cur: Cursor) -> list[tuple[Any, ...]]:
            found = entitlements(cur, row.organization, business_now(cur, row.organization))
            return [
                (name, feature_text(each.value), each.source, _by(name, each.value))
                for name, each in found.features.items()
            ]

        return format_html_join("", "<p>{}: {} ({}; {})</p>", run_in_transaction(read))


def _by(feature: str, value: object) -> str:
    return "the gate obeys" if obeyed(feature, value) else "the customer's own"

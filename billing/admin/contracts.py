"""Contracts for the staff: everything can be read; actions call the operations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.models import Contract, ContractWindow
from billing.operations.contracts.changing import Termination, activate_contract, terminate_contract
from billing.rules.charges.definition import parse_charge
from billing.rules.contracts.pricing import CHARGE, CustomPrice
from billing.rules.contracts.writing import read_version
from billing.rules.plantexts import price_text
from orgs.admin import ReadOnlyAdmin


def included_text(price: CustomPrice) -> str:
    """How many units of a period a price leaves unbilled."""
    included = price.given.get("included")
    return "includes as many as the plan" if included is None else f"includes {included}"


@admin.register(Contract)
class ContractAdmin(ReadOnlyAdmin):
    """Contracts, with every version that there was."""

    list_display = (
        "name", "organization", "status", "kind", "currency", "starts_at", "ends_at", "number", "next_at",
    )  # fmt: skip
    list_filter: ClassVar = ("status", "kind")
    search_fields = ("name", "purchase_order", "=id", "=organization")
    readonly_fields = ("charge_prices",)
    actions = ("activate", "terminate")

    @admin.display(description="prices of plans' charges")
    def charge_prices(self, row: Contract) -> SafeString:
        """What each version says that charges of plans cost instead of the plan's price, and when."""
        told = (
            (
                f"version {each.number}", price.given["plan"], price.given["charge"],
                price_text(parse_charge(price.given["price"])), included_text(price),
                f"{price.start} to {price.end}",
            )
            for each in map(read_version, row.versions)
            for price in each.terms.prices
            if price.kind == CHARGE
        )  # fmt: skip
        lines = format_html_join(
            "", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", told
        )
        return format_html("<table>{}</table>", lines)

    @admin.action(description="Put the chosen drafts into force", permissions=["operate"])
    def activate(self, request: HttpRequest, rows: QuerySet[Contract]) -> None:
        """Activate each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: activate_contract(cur, row.organization, row.id, author=author),
        )

    @admin.action(description="End the chosen contracts now, committed by days", permissions=["operate"])
    def terminate(self, request: HttpRequest, rows: QuerySet[Contract]) -> None:
        """Terminate each of them: the running window's commitment counts up to today."""
        wanted = Termination("prorated", reason="ended by the staff")
        self.run(
            request,
            rows,
            lambda row, author, cur: terminate_contract(cur, row.organization, row.id, wanted, author=author),
        )


@admin.register(ContractWindow)
class ContractWindowAdmin(ReadOnlyAdmin):
    """Windows of commitments, in units of 10^-8."""

    list_display = (
        "contract", "number", "status", "start_at", "end_at", "amount", "used", "line", "true_up", "settled_at",
    )  # fmt: skip
    list_filter = ("status",)
    search_fields = ("=contract", "=organization")

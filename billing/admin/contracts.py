"""Contracts for the staff: drafted and revised as documents; actions call the operations."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.admin.operated import FormAdmin, OperatedForm, area, document
from billing.models import Contract, ContractWindow
from billing.operations.contracts.changing import (
    Termination,
    activate_contract,
    draft_contract,
    revise_contract,
    terminate_contract,
)
from billing.rules.charges.definition import parse_charge
from billing.rules.contracts.pricing import CHARGE, CustomPrice
from billing.rules.contracts.row import DRAFT
from billing.rules.contracts.terms import parse_contract, write_contract
from billing.rules.contracts.writing import read_version
from billing.rules.plantexts import price_text
from events.store import Cursor
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author

EXAMPLE = {
    "name": "Acme 2027",
    "currency": "USD",
    "term": {"start": "2027-01-01", "end": "2028-01-01"},
    "fees": [{"key": "base", "name": "Platform", "amount": "1000", "interval": {"unit": "month"}}],
}


def included_text(price: CustomPrice) -> str:
    """How many units of a period a price leaves unbilled."""
    included = price.given.get("included")
    return "includes as many as the plan" if included is None else f"includes {included}"


class RevisionForm(OperatedForm):
    """Another document of a draft; what is active is amended."""

    definition = area(rows=30, initial=json.dumps(EXAMPLE, indent=2), help_text="As JSON: docs/contracts.md")
    READ: ClassVar = {"definition": document(parse_contract)}

    def known(self, row: Contract) -> dict[str, Any]:
        """The document as it is now."""
        return {"definition": json.dumps(write_contract(read_version(row.versions[-1]).terms), indent=2)}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Revise the draft."""
        return revise_contract(cur, row.organization, row.id, self.said["definition"], author=author).id


class ContractForm(RevisionForm):
    """A new draft: nothing holds until it is put into force."""

    organization = forms.UUIDField(help_text="The customer, by its id")
    field_order = ("form_key", "organization", "definition")

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Draft it."""
        return draft_contract(cur, self.said["organization"], self.said["definition"], author=author).id


@admin.register(Contract)
class ContractAdmin(FormAdmin):
    """Contracts, with every version that there was."""

    new_form = ContractForm
    changing_form = RevisionForm
    list_display = (
        "name", "organization", "status", "kind", "currency", "starts_at", "ends_at", "number", "next_at",
    )  # fmt: skip
    list_filter: ClassVar = ("status", "kind")
    search_fields = ("name", "purchase_order", "=id", "=organization")
    readonly_fields = ("charge_prices",)
    actions = ("activate", "terminate")

    def may_change(self, row: Any) -> bool:
        """Only a draft has another document."""
        return bool(row.status == DRAFT)

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

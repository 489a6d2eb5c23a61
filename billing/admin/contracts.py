"""Contracts for the staff: everything can be read; actions call the operations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import Contract, ContractWindow
from billing.operations.contracts.changing import Termination, activate_contract, terminate_contract
from orgs.admin import ReadOnlyAdmin


@admin.register(Contract)
class ContractAdmin(ReadOnlyAdmin):
    """Contracts, with every version that there was."""

    list_display = (
        "name", "organization", "status", "kind", "currency", "starts_at", "ends_at", "number", "next_at",
    )  # fmt: skip
    list_filter: ClassVar = ("status", "kind")
    search_fields = ("name", "purchase_order", "=id", "=organization")
    actions = ("activate", "terminate")

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

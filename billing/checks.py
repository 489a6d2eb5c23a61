"""Billing's part of `verify_ledger`."""

from billing.queries.integrity import violations
from events.integrity import register_check


def register_all() -> None:
    """This function will register what holds between documents and books (R1 to R4)."""
    register_check("billing", violations)

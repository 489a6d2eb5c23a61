"""Mirrored customers, subscriptions and invoices, and what credit a price gives: the last event of each counts."""

from typing import Final

from billing.rules.mirroring.rows import CUSTOMER, INVOICE, PRICE, SUBSCRIPTION
from orgs.defining import DefinedTable

SUBSCRIPTIONS: Final = DefinedTable(
    SUBSCRIPTION,
    "mirrored_subscriptions",
    {
        "subscription": "text",
        "customer": "text",
        "status": "text",
        "items": "jsonb",
        "period_start": "timestamptz",
        "period_end": "timestamptz",
        "cancel_at": "timestamptz",
        "ended_at": "timestamptz",
        "created_at": "timestamptz",
    },
)
INVOICES: Final = DefinedTable(
    INVOICE,
    "mirrored_invoices",
    {
        "invoice": "text",
        "subscription": "text",
        "customer": "text",
        "number": "text",
        "status": "text",
        "currency": "text",
        "total": "bigint",
        "paid": "bigint",
        "remaining": "bigint",
        "failed": "boolean",
        "due_at": "timestamptz",
        "paid_at": "timestamptz",
        "created_at": "timestamptz",
        "grant_id": "uuid",
        "credit": "bigint",
        "attempts": "integer",
    },
)
CUSTOMERS: Final = DefinedTable(
    CUSTOMER, "mirrored_customers", {"customer": "text", "linked_at": "timestamptz"}
)
PRICES: Final = DefinedTable(
    PRICE,
    "credit_prices",
    {
        "price": "text",
        "name": "text",
        "credit": "bigint",
        "currency": "text",
        "lifetime_days": "integer",
        "created_at": "timestamptz",
        "archived_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register the projectors of what is mirrored."""
    for table in (SUBSCRIPTIONS, INVOICES, CUSTOMERS, PRICES):
        table.register("billing")

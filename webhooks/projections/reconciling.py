"""What reconciliation booked of the processor's balance, and providers' bills: each event carries the whole new row."""

from typing import Final

from orgs.defining import DefinedTable

PROCESSOR_ITEMS: Final = DefinedTable(
    "processor_item",
    "processor_items",
    {
        "balance_transaction": "text",
        "subject": "text",
        "category": "text",
        "amount": "bigint",
        "fee": "bigint",
        "currency": "text",
        "booked_to": "text",
        "status": "text",
        "assigned_to": "uuid",
        "assigned_invoice": "uuid",
        "reason": "text",
        "created_at": "timestamptz",
        "booked_at": "timestamptz",
        "ended_at": "timestamptz",
    },
)
PROVIDER_BILLS: Final = DefinedTable(
    "provider_bill",
    "provider_bills",
    {
        "provider": "text",
        "digest": "text",
        "currency": "text",
        "total": "bigint",
        "first_day": "date",
        "last_day": "date",
        "tolerance_ppm": "integer",
        "lines": "jsonb",
        "status": "text",
        "booked_against": "text",
        "imported_by": "text",
        "created_at": "timestamptz",
        "booked_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register the projectors of both."""
    for table in (PROCESSOR_ITEMS, PROVIDER_BILLS):
        table.register("webhooks")

"""Payouts, batches and statements: the last event of each counts."""

from typing import Final

from orgs.defining import DefinedTable
from payouts.rules.paying.row import STREAM

PAYOUTS: Final = DefinedTable(
    STREAM,
    "payouts",
    {
        "amount": "bigint",
        "currency": "text",
        "state": "text",
        "cause": "text",
        "requested_at": "timestamptz",
        "requested_by": "text",
        "account": "text",
        "destination": "text",
        "batch": "uuid",
        "hold": "text",
        "hold_note": "text",
        "reviewed_by": "text",
        "approved_at": "timestamptz",
        "approved_by": "text",
        "first_approved_by": "text",
        "waits_for": "text",
        "next_at": "timestamptz",
        "transfer": "text",
        "payout": "text",
        "sent_at": "timestamptz",
        "recall": "text",
        "taken_back": "bigint",
        "arrival": "timestamptz",
        "paid_at": "timestamptz",
        "ended_at": "timestamptz",
        "failure": "jsonb",
        "reversals": "jsonb",
    },
)
BATCHES: Final = DefinedTable(
    "payout_batch",
    "payout_batches",
    {
        "state": "text",
        "requested_at": "timestamptz",
        "requested_by": "text",
        "made": "integer",
        "refused": "integer",
        "finished_at": "timestamptz",
    },
)
STATEMENTS: Final = DefinedTable(
    "partner_statement",
    "partner_statements",
    {
        "month": "date",
        "number": "text",
        "counter": "integer",
        "currency": "text",
        "opening": "bigint",
        "earned": "bigint",
        "clawed_back": "bigint",
        "paid_out": "bigint",
        "closing": "bigint",
        "document": "jsonb",
        "made_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register the projectors of payouts, their batches and statements."""
    for table in (PAYOUTS, BATCHES, STATEMENTS):
        table.register("payouts")

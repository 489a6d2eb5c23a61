"""Partners, listings and revenue shares: the last event of each counts."""

from typing import Final

from orgs.defining import DefinedTable
from payouts.rules import listings, partners, shares

PARTNERS: Final = DefinedTable(
    partners.STREAM,
    "partners",
    {
        "currency": "text",
        "status": "text",
        "minimum": "bigint",
        "schedule": "text",
        "holdback_days": "integer",
        "reserve_rate": "integer",
        "hold_reason": "text",
        "stripe_account": "text",
        "country": "text",
        "destination": "text",
        "destination_changed_at": "timestamptz",
        "payouts_enabled": "boolean",
        "disabled_reason": "text",
        "requirements": "jsonb",
        "created_at": "timestamptz",
    },
)
LISTINGS: Final = DefinedTable(
    listings.STREAM,
    "listings",
    {
        "key": "text",
        "key_folded": "text",
        "name": "text",
        "description": "text",
        "created_at": "timestamptz",
        "archived_at": "timestamptz",
    },
)
SHARES: Final = DefinedTable(
    shares.STREAM,
    "revenue_shares",
    {
        "listing_id": "uuid",
        "plan": "text",
        "valid_from": "timestamptz",
        "terms": "jsonb",
        "created_at": "timestamptz",
        "withdrawn_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register one projector for each of these tables."""
    for table in (PARTNERS, LISTINGS, SHARES):
        table.register("payouts")

"""Partners and listings: the last event of each counts."""

from typing import Final

from orgs.defining import DefinedTable
from payouts.rules.partners import STREAM

PARTNERS: Final = DefinedTable(
    STREAM,
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

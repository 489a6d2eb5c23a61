"""Outbound commands and who an organization is at the processor: the last definition of each stream wins."""

from typing import Final

from events.store import ProjectedTable, Projector, register
from orgs.defining import DefinedTable

OPERATIONAL: Final = ("attempts", "next_try_at", "lease", "lease_until", "looks", "looked_at", "note")
"""Columns that no event knows: how hard it was tried."""
COMMANDS: Final = DefinedTable(
    "command",
    "outbound_commands",
    {
        "purpose": "text",
        "business_key": "text",
        "generation": "integer",
        "key": "text",
        "resource": "text",
        "verb": "text",
        "target": "text",
        "params": "jsonb",
        "params_hash": "text",
        "api_version": "text",
        "account": "text",
        "order_key": "text",
        "state": "text",
        "requested_at": "timestamptz",
        "first_sent_at": "timestamptz",
        "ended_at": "timestamptz",
        "object_id": "text",
        "request_id": "text",
        "error_code": "text",
        "decline_code": "text",
        "error": "text",
    },
)
CUSTOMERS: Final = DefinedTable(
    "payment_customer",
    "payment_customers",
    {
        "customer": "text",
        "status": "text",
        "default_method": "text",
        "methods": "jsonb",
        "livemode": "boolean",
        "created_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register the projectors of commands and of customers at the processor."""
    register(
        Projector(
            "billing.outbound_commands",
            lambda event: event.type.startswith("command."),
            COMMANDS.project,
            (ProjectedTable("outbound_commands", ("id",), OPERATIONAL),),
        )
    )
    CUSTOMERS.register("billing")

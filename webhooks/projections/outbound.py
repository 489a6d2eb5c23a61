"""Endpoints of outbound webhooks: each event carries the whole new row."""

from typing import Final

from orgs.defining import DefinedTable

WEBHOOK_ENDPOINTS: Final = DefinedTable(
    "webhook_endpoint",
    "webhook_endpoints",
    {
        "url": "text",
        "description": "text",
        "event_types": "jsonb",
        "low_credit": "jsonb",
        "status": "text",
        "disabled_reason": "text",
        "disabled_at": "timestamptz",
        "secret_ids": "jsonb",
        "created_at": "timestamptz",
        "archived_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register the projector of endpoints."""
    WEBHOOK_ENDPOINTS.register("webhooks")

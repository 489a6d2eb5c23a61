"""Events of meters and backfills to rows: the last definition of each stream wins."""

from typing import Final

from orgs.defining import DefinedTable

METERS: Final = DefinedTable(
    "meter",
    "meters",
    {
        "key": "text",
        "key_folded": "text",
        "name": "text",
        "description": "text",
        "source": "text",
        "event_type": "text",
        "aggregation": "text",
        "value_property": "text",
        "unique_property": "text",
        "filters": "jsonb",
        "group_by": "jsonb",
        "created_at": "timestamptz",
        "archived_at": "timestamptz",
    },
)
BACKFILLS: Final = DefinedTable(
    "event_backfill",
    "event_backfills",
    {
        "name": "text",
        "reason": "text",
        "status": "text",
        "created_by": "text",
        "created_at": "timestamptz",
        "reverted_by": "text",
        "reverted_at": "timestamptz",
        "revert_reason": "text",
    },
)


def register_all() -> None:
    """This function will register the projectors of both tables."""
    for table in (METERS, BACKFILLS):
        table.register("billing")

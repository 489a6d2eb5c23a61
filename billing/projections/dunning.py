"""Dunning cases, policies and the documents that policies had."""

from collections.abc import Sequence
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.defining import DefinedTable

CASES: Final = DefinedTable(
    "dunning_case",
    "dunning_cases",
    {
        "state": "text",
        "policy_id": "uuid",
        "policy_number": "integer",
        "policy": "jsonb",
        "zone": "text",
        "anchor_at": "timestamptz",
        "opened_at": "timestamptz",
        "changed_at": "timestamptz",
        "invoices": "jsonb",
        "step": "integer",
        "shift_days": "integer",
        "pending": "jsonb",
        "waits_until": "timestamptz",
        "asked_at": "timestamptz",
        "wants_retry": "boolean",
        "is_hard": "boolean",
        "failures": "integer",
        "failure": "jsonb",
        "exempt_until": "timestamptz",
        "extended_until": "timestamptz",
        "next_at": "timestamptz",
        "closed_at": "timestamptz",
        "closing": "text",
        "campaigns": "jsonb",
    },
)
POLICIES: Final = DefinedTable(
    "dunning_policy",
    "dunning_policies",
    {
        "key": "text",
        "name": "text",
        "plans": "jsonb",
        "contracts": "jsonb",
        "is_default": "boolean",
        "number": "integer",
        "document": "jsonb",
        "created_at": "timestamptz",
        "archived_at": "timestamptz",
    },
)
_VERSION: Final = """
INSERT INTO dunning_policy_versions (policy, number, organization, document, made_at)
SELECT * FROM unnest(%s::uuid[], %s::integer[], %s::uuid[], %s::jsonb[], %s::timestamptz[])
ON CONFLICT (policy, number) DO NOTHING
"""


def project_versions(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write the documents that were made."""
    made: dict[tuple[Any, int], list[Any]] = {}
    for event in events:
        key = (event.stream_id, event.data["number"])
        document = encode(event.data["document"]).decode()
        made.setdefault(key, [*key, event.organization, document, event.data["made_at"]])
    if made:
        cur.execute(_VERSION, [list(column) for column in zip(*made.values(), strict=True)])


def register_all() -> None:
    """This function will register the projectors of dunning."""
    CASES.register("billing")
    POLICIES.register("billing")
    register(
        Projector(
            name="billing.dunning_policy_versions",
            wants=lambda event: event.type.startswith("dunning_policy."),
            project=project_versions,
            tables=(ProjectedTable("dunning_policy_versions", ("policy", "number")),),
        )
    )

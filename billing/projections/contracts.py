"""Events of contracts to rows: the last definition of each, its versions, and the windows of its commitment."""

from collections.abc import Sequence
from typing import Any, Final

from billing.rules.contracts.decision import STREAM
from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.defining import DefinedTable

TABLE: Final = DefinedTable(
    STREAM,
    "contracts",
    {
        "status": "text",
        "name": "text",
        "currency": "text",
        "purchase_order": "text",
        "net_days": "integer",
        "zone": "text",
        "starts_at": "timestamptz",
        "ends_at": "timestamptz",
        "kind": "text",
        "number": "integer",
        "versions": "jsonb",
        "windows": "jsonb",
        "window_count": "integer",
        "next_window_at": "timestamptz",
        "fees": "jsonb",
        "prices": "jsonb",
        "features": "jsonb",
        "activated_at": "timestamptz",
        "terminates_at": "timestamptz",
        "termination": "text",
        "reason": "text",
        "ended_at": "timestamptz",
        "next_at": "timestamptz",
        "created_at": "timestamptz",
    },
)
_VERSION: Final = """
INSERT INTO contract_versions (contract, number, organization, effective_at, document, made_at)
SELECT * FROM unnest(%s::uuid[], %s::integer[], %s::uuid[], %s::timestamptz[], %s::jsonb[], %s::timestamptz[])
ON CONFLICT (contract, number) DO UPDATE SET effective_at = EXCLUDED.effective_at, document = EXCLUDED.document,
    made_at = EXCLUDED.made_at
"""
_FIXED: Final = {
    "id": "uuid",
    "organization": "uuid",
    "contract": "uuid",
    "number": "integer",
}
_MOVING: Final = {
    "start_at": "timestamptz",
    "end_at": "timestamptz",
    "grants_end": "timestamptz",
    "settle_at": "timestamptz",
    "settled_at": "timestamptz",
    "status": "text",
    "pieces": "jsonb",
    "grants": "jsonb",
    "items": "jsonb",
    **dict.fromkeys(
        (
            "amount", "parked", "closed", "repaid", "repaid_billed", "fees", "used", "line", "overage", "true_up",
            "lapsed", "rolled", "credited",
        ),
        "bigint",
    ),
}  # fmt: skip
_COLUMNS: Final = {**_FIXED, **_MOVING}
_WINDOW: Final = (
    f"INSERT INTO contract_windows ({', '.join(_COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in _COLUMNS.values())}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in _MOVING)}"
)


def project_rows(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write the last definition of each contract; other events of the stream carry none."""
    rows = [event for event in events if "next_at" in event.data]
    if rows:
        TABLE.project(cur, rows)


def project_versions(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write the versions that were made; only a draft's is written again."""
    made: dict[tuple[Any, int], list[Any]] = {}
    for event in events:
        if (version := event.data.get("made")) is not None:
            made[event.stream_id, version["number"]] = [
                event.stream_id, version["number"], event.organization, version["effective_at"],
                encode(version["document"]).decode(), version["made_at"],
            ]  # fmt: skip
    if made:
        cur.execute(_VERSION, [list(column) for column in zip(*made.values(), strict=True)])


def project_windows(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write the windows that changed, as the last event states each."""
    found: dict[str, list[Any]] = {}
    for event in events:
        for window in event.data.get("changed_windows", ()):
            known = {**window, "organization": event.organization, "contract": event.stream_id}
            found[window["id"]] = [
                encode(known[name]).decode() if kind == "jsonb" else known[name]
                for name, kind in _COLUMNS.items()
            ]
    if found:
        cur.execute(_WINDOW, [list(column) for column in zip(*found.values(), strict=True)])


def register_all() -> None:
    """This function will register the projectors of contracts, their versions and their windows."""
    for name, project, keys in (
        ("contracts", project_rows, ("id",)),
        ("contract_versions", project_versions, ("contract", "number")),
        ("contract_windows", project_windows, ("id",)),
    ):
        register(
            Projector(
                name=f"billing.{name}",
                wants=lambda event: event.stream_type == STREAM,
                project=project,
                tables=(ProjectedTable(name, keys),),
            )
        )

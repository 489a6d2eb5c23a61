"""Events of this app to rows. An event carries its object's whole new definition: the last one of a row wins.

Beside its row each event of a change raises the organization's `config_epoch` by one, as a sum, so that
caches of the gate are stale at its next decision and a rebuild gives the same number.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from events.store import Cursor, Event, ProjectedTable, Projector, register

VERBS: Final = ("created", "changed", "archived", "closed", "rotated", "revoked")
"""What happens to the objects of this app; the event's type is "<stream type>.<verb>"."""

_RAISE: Final = """
UPDATE organizations o SET config_epoch = o.config_epoch + e.n
FROM unnest(%s::uuid[], %s::bigint[]) AS e(id, n) WHERE o.id = e.id
"""

_ADVANCE: Final = """
UPDATE organizations o SET clock_offset = o.clock_offset + make_interval(secs => e.seconds),
    version = greatest(o.version, e.version)
FROM unnest(%s::uuid[], %s::bigint[], %s::integer[]) AS e(id, seconds, version) WHERE o.id = e.id
"""

_ORGANIZATION_COLUMNS: Final = {
    "name": "text",
    "currency": "text",
    "time_zone": "text",
    "funding": "text",
    "credit_limit": "bigint",
    "status": "text",
    "is_platform": "boolean",
    "sandbox": "boolean",
    "created_at": "timestamptz",
}
_SUBJECT_COLUMNS: Final = {
    "key": "text",
    "name": "text",
    "key_folded": "text",
    "name_folded": "text",
    "created_at": "timestamptz",
    "archived_at": "timestamptz",
}


@dataclass(frozen=True, slots=True)
class _Table:
    """Where a stream type's events go: the columns besides id, organization and version, and their types."""

    stream_type: str
    name: str
    columns: Mapping[str, str]
    owned: bool = True
    ignore: tuple[str, ...] = ()


_TABLES: Final = (
    _Table("organization", "organizations", _ORGANIZATION_COLUMNS, owned=False),
    _Table("team", "teams", _SUBJECT_COLUMNS),
    _Table("agent", "agents", {**_SUBJECT_COLUMNS, "team_id": "uuid", "listing": "uuid"}),
    _Table("workflow", "workflows", _SUBJECT_COLUMNS),
    _Table("connection", "connections", {**_SUBJECT_COLUMNS, "billing": "text"}),
    _Table(
        "member",
        "members",
        {"role": "text", "team_id": "uuid", "created_at": "timestamptz", "archived_at": "timestamptz"},
    ),
    _Table(
        "api_key",
        "api_keys",
        {
            "name": "text",
            "prefix": "text",
            "secret_hash": "bytea",
            "scopes": "text[]",
            "member_id": "uuid",
            "agent_ids": "uuid[]",
            "connection_ids": "uuid[]",
            "expires_at": "timestamptz",
            "revoked_at": "timestamptz",
            "rotated_from": "uuid",
            "created_at": "timestamptz",
        },
        ignore=("last_used_at",),
    ),
)


def raise_config_epoch(cur: Cursor, changes: Mapping[UUID, int]) -> None:
    """This function will add to each config_epoch the number of changes that the gate must see.

    For projectors, also of other apps: call it with the number of events per organization, once per call.
    """
    ordered = sorted(changes.items())
    if ordered:
        cur.execute(_RAISE, ([key for key, _ in ordered], [count for _, count in ordered]))


def _statement(table: _Table) -> str:
    columns = {
        "id": "uuid",
        "version": "integer",
        **({"organization": "uuid"} if table.owned else {}),
        **table.columns,
    }
    # An array of arrays has one shape in SQL, so array columns travel as text and are cast row by row.
    sent = ", ".join("%s::text[]" if kind.endswith("[]") else f"%s::{kind}[]" for kind in columns.values())
    taken = ", ".join(f"{name}::{kind}" if kind.endswith("[]") else name for name, kind in columns.items())
    changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in ("id", "organization"))
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {taken} FROM unnest({sent}) AS e({names}) "
        f"ON CONFLICT (id) DO UPDATE SET {changed}"
    )


def _array_literal(values: Sequence[str] | None) -> str | None:
    """Scopes and ids as PostgreSQL writes an array; neither holds a character that it would have to quote."""
    return None if values is None else "{" + ",".join(values) + "}"


def _value(kind: str, value: Any) -> Any:
    if kind.endswith("[]"):
        return _array_literal(value)
    if kind == "bytea":
        return bytes.fromhex(value)
    return value


def _projection(table: _Table) -> Callable[[Cursor, Sequence[Event]], None]:
    statement = _statement(table)

    def project(cur: Cursor, events: Sequence[Event]) -> None:
        last = {event.stream_id: event for event in events}
        rows = last.values()
        columns: list[list[Any]] = [[event.stream_id for event in rows], [event.version for event in rows]]
        if table.owned:
            columns.append([event.organization for event in rows])
        for name, kind in table.columns.items():
            columns.append([_value(kind, event.data.get(name)) for event in rows])
        cur.execute(statement, columns)
        raise_config_epoch(cur, _changes(events))

    return project


def _changes(events: Sequence[Event]) -> Counter[UUID]:
    """How many of these events an existing cache must notice: all but the birth of an organization."""
    return Counter(event.organization for event in events if event.type != "organization.created")


def _projector(table: _Table) -> Projector:
    types = frozenset(f"{table.stream_type}.{verb}" for verb in VERBS)
    return Projector(
        name=f"orgs.{table.name}",
        wants=lambda event: event.type in types,
        project=_projection(table),
        tables=(ProjectedTable(table.name, ("id",), table.ignore),),
    )


def _advance_clocks(cur: Cursor, events: Sequence[Event]) -> None:
    seconds: Counter[UUID] = Counter()
    versions: dict[UUID, int] = {}
    for event in sorted(events, key=lambda event: event.version):
        seconds[event.organization] += event.data["seconds"]
        versions[event.organization] = event.version
    rows = sorted((name, seconds[name], versions[name]) for name in seconds)
    cur.execute(_ADVANCE, [list(column) for column in zip(*rows, strict=True)])


def register_all() -> None:
    """This function will register the projectors of this app, organizations first."""
    for table in _TABLES:
        register(_projector(table))
    register(
        Projector(
            name="orgs.clocks",
            wants=lambda event: event.type == "organization.clock_advanced",
            project=_advance_clocks,
        )
    )

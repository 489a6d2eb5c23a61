"""Events of switches, rate limits, run policies, overrides, approvals, incidents and velocity rules to rows.

Every event carries its row's whole new definition, so the last one wins. What the gate keeps in its cache raises the
organization's config_epoch by one; incidents, approvals and velocity rules are not looked at by it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, encode, register
from orgs.projections import raise_config_epoch


@dataclass(frozen=True, slots=True)
class _Table:
    """Where a stream type's events go: the columns besides id, organization and version, and their types."""

    stream_type: str
    name: str
    columns: Mapping[str, str]
    is_cached: bool

    def upsert(self) -> str:
        kinds = {"id": "uuid", "organization": "uuid", "version": "integer", **self.columns}
        return (
            f"INSERT INTO {self.name} ({', '.join(kinds)}) "
            f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds.values())}) "
            f"ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, "
            + ", ".join(f"{name} = EXCLUDED.{name}" for name in self.columns)
        )

    def project(self, cur: Cursor, events: Sequence[Event]) -> None:
        rows = list({event.stream_id: event for event in events}.values())
        columns: list[list[Any]] = [
            [event.stream_id for event in rows],
            [event.organization for event in rows],
            [event.version for event in rows],
        ]
        for name, kind in self.columns.items():
            values = [event.data.get(name) for event in rows]
            columns.append([_json(v) for v in values] if kind == "jsonb" else values)
        cur.execute(self.upsert(), columns)
        if self.is_cached:
            raise_config_epoch(cur, Counter(event.organization for event in events))


def _json(value: Any) -> str | None:
    return None if value is None else encode(value).decode()


_TARGET: Final = {"scope": "text", "target_id": "uuid", "target_label": "text"}
_LIFE: Final = {"mode": "text", "created_at": "timestamptz", "archived_at": "timestamptz"}
SWITCHES: Final = _Table(
    "switch",
    "switches",
    {
        **_TARGET,
        "kind": "text",
        "mode": "text",
        "cause": "text",
        "incident_id": "uuid",
        "reason": "text",
        "set_by": "text",
        "set_at": "timestamptz",
        "lifted_by": "text",
        "lifted_at": "timestamptz",
        "lift_reason": "text",
    },
    is_cached=True,
)
RATE_LIMITS: Final = _Table(
    "rate_limit",
    "rate_limits",
    {
        **_TARGET,
        "per": "text",
        "unit": "text",
        "direction": "text",
        "amount_limit": "bigint",
        "window_kind": "text",
        "burst": "bigint",
        "behaviour": "text",
        "escalate_denials": "integer",
        "escalate_seconds": "integer",
        "active_from": "text",
        "active_until": "text",
        "time_zone": "text",
        **_LIFE,
    },
    is_cached=True,
)
RUN_POLICIES: Final = _Table(
    "run_policy", "run_policies", {**_TARGET, "rules": "jsonb", **_LIFE}, is_cached=True
)
OVERRIDES: Final = _Table(
    "budget_override",
    "budget_overrides",
    {
        "budget_id": "uuid",
        "target": "text",
        "run_key": "text",
        "extra": "bigint",
        "reason": "text",
        "created_by": "text",
        "created_at": "timestamptz",
        "expires_at": "timestamptz",
        "ended_by": "text",
        "ended_at": "timestamptz",
        "end_reason": "text",
    },
    is_cached=True,
)
APPROVALS: Final = _Table(
    "approval",
    "approvals",
    {
        "budget_id": "uuid",
        "counter": "integer",
        "target": "text",
        "label": "text",
        "window_start": "timestamptz",
        "window_end": "timestamptz",
        "armed": "integer",
        "rank": "smallint",
        "percent": "integer",
        "amount": "bigint",
        "used": "bigint",
        "amount_limit": "bigint",
        "unit": "text",
        "agent_id": "uuid",
        "run_id": "uuid",
        "status": "text",
        "asked_at": "timestamptz",
        "decided_by": "text",
        "decided_at": "timestamptz",
        "reason": "text",
    },
    is_cached=False,
)
INCIDENTS: Final = _Table(
    "incident",
    "incidents",
    {
        "trigger": "text",
        "mode": "text",
        "action": "text",
        **_TARGET,
        "agent_id": "uuid",
        "run_id": "uuid",
        "run_key": "text",
        "rule_id": "uuid",
        "switch_id": "uuid",
        "spent": "bigint",
        "evidence": "jsonb",
        "began_at": "timestamptz",
        "opened_at": "timestamptz",
        "released_at": "timestamptz",
        "released_by": "text",
        "release_reason": "text",
    },
    is_cached=False,
)
VELOCITY_RULES: Final = _Table(
    "velocity_rule",
    "velocity_rules",
    {
        "scope": "text",
        "target_id": "uuid",
        "factor": "integer",
        "minimum": "bigint",
        "history_hours": "integer",
        "action": "text",
        **_LIFE,
    },
    is_cached=False,
)
TABLES: Final = (SWITCHES, RATE_LIMITS, RUN_POLICIES, OVERRIDES, APPROVALS, INCIDENTS, VELOCITY_RULES)


def register_all() -> None:
    """This function will register one projector for each of these tables."""
    for table in TABLES:
        register(_projector(table))


def _projector(table: _Table) -> Projector:
    prefix = f"{table.stream_type}."
    return Projector(
        name=f"spend.{table.name}",
        wants=lambda event: event.type.startswith(prefix),
        project=table.project,
        tables=(ProjectedTable(table.name, ("id",)),),
    )

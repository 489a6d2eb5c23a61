"""Names of filters to ids, and rows to plain objects; shared by the lists of this app."""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.queries.subjects import find_subject
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from spend.queries.runs import find_named_run

SUBJECT_JOINS: Final = """
LEFT JOIN agents a ON a.id = x.agent_id LEFT JOIN teams t ON t.id = x.team_id
LEFT JOIN workflows w ON w.id = x.workflow_id LEFT JOIN connections c ON c.id = x.connection_id
LEFT JOIN runs r ON r.id = x.run_id
"""
SUBJECT_COLUMNS: Final = (
    "a.key AS agent, t.key AS team, w.key AS workflow, c.key AS connection, r.key AS run, "
    "x.user_label AS user"
)
DECISIONS_OF_RUN: Final = (
    "(x.run_id = %(run)s OR (x.run_id IS NULL AND x.detail IS NOT NULL AND x.detail->>'run' = %(key)s))"
)
"""Also the denials from before the run's first accepted call, which know its key only."""
decode: Final[Callable[[str], Any]] = msgspec.json.Decoder().decode


class NamedRun(NamedTuple):
    """A run as a filter names it; `id` is None when no accepted call has started it."""

    id: UUID | None
    key: str


def subject_id(
    cur: Cursor, kind: str, organization: UUID, name: str | None, limits: KeyLimits = NO_LIMITS
) -> UUID | None:
    """Return the id of the team, agent, workflow or connection that a filter names by key or id.

    Raises NotFound for what the organization does not have or the key is not for, so that a filter tells nothing of
    others (B72).
    """
    if name is None:
        return None
    found = find_subject(cur, kind, organization=organization, name=name).id
    if limits.leave_out(kind, found):
        raise NotFound(f"There is no such {kind}.")
    return found


def named_run(cur: Cursor, organization: UUID, name: str | None) -> NamedRun | None:
    """Return the run that a filter names by key or id; a key may be known from denials only.

    Raises NotFound for an id that the organization does not have.
    """
    if name is None:
        return None
    run = find_named_run(cur, organization=organization, name=name)
    if run is not None:
        return NamedRun(run.id, run.key)
    if is_id(name):
        raise NotFound("There is no such run.")
    return NamedRun(None, name)


def objects(cur: Cursor, *, parsed: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of the last statement by column name; `parsed` are columns of JSON that came as text."""
    names = [column.name for column in cur.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in cur.fetchall()]
    for name in parsed:
        for row in found:
            if row[name] is not None:
                row[name] = decode(row[name])
    return found


class Conditions:
    """The WHERE clause of a list: conditions that were given, with their values."""

    def __init__(self, **fixed: Any) -> None:
        self.values: dict[str, Any] = dict(fixed)
        self.parts: list[str] = []

    def add(self, condition: str, name: str, value: Any) -> None:
        """Add a condition on %(name)s unless its value is None."""
        if value is not None:
            self.parts.append(condition)
            self.values[name] = value

    def narrow(self, limits: KeyLimits, *, agent: str, connection: str) -> None:
        """Leave out what a limited key is not for; `agent` and `connection` are the columns of their ids."""
        self.add(f"{agent} = ANY(%(only_agents)s)", "only_agents", limits.ids("agent"))
        self.add(f"{connection} = ANY(%(only_connections)s)", "only_connections", limits.ids("connection"))

    def where(self, *always: str) -> str:
        """Return the clause."""
        return " WHERE " + " AND ".join((*always, *self.parts))

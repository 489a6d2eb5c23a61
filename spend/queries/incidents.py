"""Incidents: where a rule acted against spending, and who dealt with it (S59)."""

from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from common.errors import NotFound
from events.store import Cursor
from spend.queries.naming import Conditions
from spend.rules.incidents import Incident

_READ: Final = """
SELECT i.id, i.organization, i.trigger, i.mode, i.action, i.scope, i.target_id, i.target_label, i.agent_id, i.run_id,
    i.run_key, i.rule_id, i.switch_id, i.spent, i.evidence::text, i.began_at, i.opened_at, i.released_at,
    i.released_by, i.release_reason, i.version
FROM incidents i
"""
_EVIDENCE: Final = 14
# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class IncidentFilter(NamedTuple):
    """Which incidents a list shows; None: all. `run` is a run's key."""

    open: bool | None = None
    trigger: str | None = None
    mode: str | None = None
    agent_id: UUID | None = None
    run: str | None = None


def find_incident(cur: Cursor, *, organization: UUID, incident: UUID) -> Incident:
    """Return an incident of the organization. Raises NotFound."""
    statement = _READ + " WHERE i.organization = %s AND i.id = %s"
    row = cur.execute(statement, (organization, incident)).fetchone()
    if row is None:
        raise NotFound("There is no such incident.")
    return _incident(row)


def organization_of_incident(cur: Cursor, incident: UUID) -> UUID:
    """Return whose incident this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM incidents WHERE id = %s", (incident,)).fetchone()
    if row is None:
        raise NotFound("There is no such incident.")
    owner: UUID = row[0]
    return owner


def list_incidents(
    cur: Cursor, *, organization: UUID, wanted: IncidentFilter, before: UUID | None, limit: int
) -> list[Incident]:
    """Return up to `limit` incidents, newest first, opened before `before`."""
    given = Conditions(organization=organization, limit=limit)
    given.add("i.id < %(before)s", "before", before)
    given.add("(i.released_at IS NULL) = %(open)s", "open", wanted.open)
    given.add("i.trigger = %(trigger)s", "trigger", wanted.trigger)
    given.add("i.mode = %(mode)s", "mode", wanted.mode)
    given.add("i.agent_id = %(agent)s", "agent", wanted.agent_id)
    given.add("i.run_key = %(run)s", "run", wanted.run)
    statement = (
        _READ + given.where("i.organization = %(organization)s") + " ORDER BY i.id DESC LIMIT %(limit)s"
    )
    return [_incident(row) for row in cur.execute(statement, given.values).fetchall()]


def open_incidents_of(cur: Cursor, *, organization: UUID, switch: UUID, cause: UUID | None) -> list[Incident]:
    """Return the incidents that are not released and led to a switch: `cause`, and those that found it set."""
    statement = (
        _READ
        + " WHERE i.organization = %s AND i.released_at IS NULL AND (i.switch_id = %s OR i.id = %s::uuid) "
        "ORDER BY i.id"
    )
    return [_incident(row) for row in cur.execute(statement, (organization, switch, cause)).fetchall()]


def _incident(row: tuple[Any, ...]) -> Incident:
    values = list(row)
    values[_EVIDENCE] = _decode(values[_EVIDENCE])
    return Incident(*values)

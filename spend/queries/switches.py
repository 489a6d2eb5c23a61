"""Switches: who may not work now, and who might not (S60)."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from orgs.queries.subjects import keys_of
from orgs.rules.permissions import PolicyLevel, policy_level
from spend.queries.naming import Conditions
from spend.queries.runs import RunRow
from spend.rules.budgetfacts import TARGETED_SCOPES
from spend.rules.switches import Switch

COLUMNS: Final = (
    "s.id, s.organization, s.scope, s.target_id, s.target_label, s.kind, s.mode, s.cause, s.incident_id, s.reason, "
    "s.set_by, s.set_at, s.lifted_by, s.lifted_at, s.lift_reason, s.version"
)
_READ: Final = f"SELECT {COLUMNS} FROM switches s"
# What really stops stands before what would; of these what is final, then what blocks, then what waits for a person.
_OVER_RUN: Final = f"""
WITH RECURSIVE above AS (
    SELECT r.key, r.parent_id FROM runs r WHERE r.id = %(run)s
    UNION ALL SELECT r.key, r.parent_id FROM runs r JOIN above ON r.id = above.parent_id
)
SELECT {COLUMNS} FROM above JOIN switches s ON s.target_label = above.key
WHERE s.organization = %(organization)s AND s.scope = 'run' AND s.lifted_at IS NULL
ORDER BY s.mode = 'enforce' DESC, array_position(ARRAY['stop', 'kill', 'pause'], s.kind), s.id
"""
_TEAM_OF_AGENT: Final = "SELECT team_id FROM agents WHERE organization = %s AND id = %s"
_TEAM_OF_RUN: Final = (
    "SELECT a.team_id FROM runs r JOIN agents a ON a.id = r.agent_id WHERE r.organization = %s AND r.key = %s"
)


class Place(NamedTuple):
    """What a switch is on: an object by id, a run by key, a user by label; neither: everything of the scope."""

    organization: UUID
    scope: str
    target_id: UUID | None = None
    target_label: str | None = None


class SwitchFilter(NamedTuple):
    """Which switches a list shows; None: all. `run` is a run's key."""

    live: bool | None = None
    scope: str | None = None
    kind: str | None = None
    mode: str | None = None
    agent_id: UUID | None = None
    run: str | None = None


def find_switch(cur: Cursor, *, organization: UUID, switch: UUID) -> Switch:
    """Return a switch of the organization, also a lifted one. Raises NotFound."""
    row = cur.execute(_READ + " WHERE s.organization = %s AND s.id = %s", (organization, switch)).fetchone()
    if row is None:
        raise NotFound("There is no such switch.")
    return Switch(*row)


def organization_of_switch(cur: Cursor, switch: UUID) -> UUID:
    """Return whose switch this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM switches WHERE id = %s", (switch,)).fetchone()
    if row is None:
        raise NotFound("There is no such switch.")
    owner: UUID = row[0]
    return owner


def list_switches(
    cur: Cursor, *, organization: UUID, wanted: SwitchFilter, before: UUID | None, limit: int
) -> list[Switch]:
    """Return up to `limit` switches, newest first, set before `before`."""
    given = Conditions(organization=organization, limit=limit)
    given.add("s.id < %(before)s", "before", before)
    given.add("(s.lifted_at IS NULL) = %(live)s", "live", wanted.live)
    given.add("s.scope = %(scope)s", "scope", wanted.scope)
    given.add("s.kind = %(kind)s", "kind", wanted.kind)
    given.add("s.mode = %(mode)s", "mode", wanted.mode)
    given.add("s.scope = 'agent' AND s.target_id = %(agent)s", "agent", wanted.agent_id)
    given.add("s.scope = 'run' AND s.target_label = %(run)s", "run", wanted.run)
    statement = (
        _READ + given.where("s.organization = %(organization)s") + " ORDER BY s.id DESC LIMIT %(limit)s"
    )
    return [Switch(*row) for row in cur.execute(statement, given.values).fetchall()]


def switches_on(cur: Cursor, place: Place, *, kind: str) -> list[Switch]:
    """Return this target's own switches of a kind: live ones before lifted ones, what really stops before what would,
    the newest first."""
    cur.execute(
        _READ + " WHERE s.organization = %s AND s.scope = %s AND s.target_id IS NOT DISTINCT FROM %s::uuid "
        "AND s.target_label IS NOT DISTINCT FROM %s::text AND s.kind = %s "
        "ORDER BY s.lifted_at IS NOT NULL, s.mode = 'enforce' DESC, s.id DESC",
        (*place, kind),
    )
    return [Switch(*row) for row in cur.fetchall()]


def switches_over_run(cur: Cursor, run: RunRow) -> list[Switch]:
    """Return the live switches of a run and of the runs above it, whose switches act on their whole trees; the one
    that decides first: enforced before observed, stop before kill before pause."""
    cur.execute(_OVER_RUN, {"run": run.id, "organization": run.organization})
    return [Switch(*row) for row in cur.fetchall()]


def level_of_target(cur: Cursor, place: Place) -> PolicyLevel:
    """Return whose a target is: a team's (the team, its agents, the runs that these began), or the organization's."""
    if place.scope == "run":
        return PolicyLevel(_one(cur, _TEAM_OF_RUN, place.organization, place.target_label))
    team = None
    if place.scope == "agent" and place.target_id is not None:
        team = _one(cur, _TEAM_OF_AGENT, place.organization, place.target_id)
    return policy_level(scope=place.scope, target_id=place.target_id, target_team_id=team)


def target_keys(cur: Cursor, organization: UUID, targets: Iterable[tuple[str, Any]]) -> dict[UUID, str]:
    """Return the keys of the teams, agents, workflows and connections among these (scope, id or None)."""
    by_scope: dict[str, list[UUID]] = {}
    for scope, identifier in targets:
        if identifier is not None and scope in TARGETED_SCOPES:
            by_scope.setdefault(scope, []).append(identifier)
    found: dict[UUID, str] = {}
    for scope, ids in sorted(by_scope.items()):
        found |= keys_of(cur, scope, organization=organization, ids=ids)
    return found


def _one(cur: Cursor, statement: str, *values: Any) -> UUID | None:
    row: Sequence[Any] | None = cur.execute(statement, values).fetchone()
    return None if row is None else row[0]

"""Run policies: as the gate reads them, and as people read them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from common.errors import NotFound
from common.ids import AnyId
from events.store import Cursor
from orgs.queries.subjects import find_subject, keys_of
from orgs.rules.permissions import PolicyLevel, policy_level
from spend.rules.runpolicies import RunPolicy, from_stored

# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_READ: Final = """
SELECT id, organization, scope, target_id, target_label, rules::text, mode, version, created_at, archived_at
FROM run_policies
"""


class PolicyFilter(NamedTuple):
    """Which run policies a list shows; None: all."""

    scope: str | None = None
    archived: bool | None = None


def load_policies(cur: Cursor, organization: UUID) -> list[RunPolicy]:
    """Return every run policy of the organization that is observed or enforced, oldest first."""
    cur.execute(
        _READ + " WHERE organization = %s AND archived_at IS NULL AND mode <> 'off' ORDER BY id",
        (organization,),
    )
    return [_policy(row) for row in cur.fetchall()]


def find_policy(cur: Cursor, *, organization: UUID, policy: UUID) -> RunPolicy:
    """Return a run policy of the organization, also an archived one. Raises NotFound."""
    row = cur.execute(_READ + " WHERE organization = %s AND id = %s", (organization, policy)).fetchone()
    if row is None:
        raise NotFound("There is no such run policy.")
    return _policy(row)


def organization_of_policy(cur: Cursor, policy: UUID) -> UUID:
    """Return whose run policy this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM run_policies WHERE id = %s", (policy,)).fetchone()
    if row is None:
        raise NotFound("There is no such run policy.")
    owner: UUID = row[0]
    return owner


def list_policies(
    cur: Cursor, *, organization: UUID, wanted: PolicyFilter, before: UUID | None, limit: int
) -> list[RunPolicy]:
    """Return up to `limit` run policies, newest first, made before `before`."""
    statement = _READ + " WHERE organization = %(organization)s"
    if before is not None:
        statement += " AND id < %(before)s"
    if wanted.scope is not None:
        statement += " AND scope = %(scope)s"
    if wanted.archived is not None:
        statement += " AND archived_at IS NOT NULL" if wanted.archived else " AND archived_at IS NULL"
    values = {"organization": organization, "before": before, "scope": wanted.scope, "limit": limit}
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", values)
    return [_policy(row) for row in cur.fetchall()]


def level_of(cur: Cursor, policy: RunPolicy) -> PolicyLevel:
    """Return whose a run policy is: the organization's, or a team's (its own, or one of its agents')."""
    owner, target = _uuid(policy.organization), None if policy.target_id is None else _uuid(policy.target_id)
    team = None
    if policy.scope == "agent" and target is not None:
        team = find_subject(cur, "agent", organization=owner, name=str(target)).team_id
    return policy_level(scope=policy.scope, target_id=target, target_team_id=team)


def names_of(cur: Cursor, organization: UUID, policies: Sequence[RunPolicy]) -> dict[str, str]:
    """Return the keys of the teams, agents and workflows that these policies name, by id."""
    found: dict[str, str] = {}
    for kind in sorted({policy.scope for policy in policies if policy.target_id is not None}):
        ids = [_uuid(p.target_id) for p in policies if p.scope == kind and p.target_id is not None]
        keys = keys_of(cur, kind, organization=organization, ids=ids)
        found |= {str(name): key for name, key in keys.items()}
    return found


def _uuid(identifier: AnyId) -> UUID:
    return identifier if isinstance(identifier, UUID) else UUID(identifier)


def _policy(row: tuple[Any, ...]) -> RunPolicy:
    values = list(row)
    values[5] = from_stored(_decode(values[5]))
    return RunPolicy(*values)

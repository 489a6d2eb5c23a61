"""Changing run policies (S42)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_open
from orgs.rules.permissions import Permit
from spend.queries.runpolicies import find_policy, level_of
from spend.rules.runpolicies import RunPolicy
from spend.rules.runpolicyfacts import changed


def change_run_policy(
    cur: Cursor,
    organization: UUID,
    policy: UUID,
    changes: Mapping[str, Any],
    *,
    author: Author,
    permit: Permit | None = None,
) -> RunPolicy:
    """This function will give a run policy other rules (as requests state them; null takes one away) or another `mode`.

    The gate's next decision obeys it. A ceiling below what a run has used stops it at its next call. The event keeps
    the actor, the old and the new rules; the same again changes nothing. `permit` as in `create_run_policy`.
    Raises NotFound, InvalidTransition (archived), InvalidField, UnknownField and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = find_policy(cur, organization=organization, policy=policy)
    if permit is not None:
        permit(level_of(cur, found))
    new, fact = changed(found, changes, at=locked.now)
    record(cur, [fact], author=author)
    return new

"""Archiving run policies."""

from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.permissions import Permit
from spend.queries.runpolicies import find_policy, level_of
from spend.rules.runpolicies import RunPolicy
from spend.rules.runpolicyfacts import archived


def archive_run_policy(
    cur: Cursor, organization: UUID, policy: UUID, *, author: Author, permit: Permit | None = None
) -> RunPolicy:
    """This function will end a run policy: the gate no longer obeys it; the house's defaults hold again.

    Archiving an archived one changes nothing. `permit` as in `create_run_policy`. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    found = find_policy(cur, organization=organization, policy=policy)
    if permit is not None:
        permit(level_of(cur, found))
    new, fact = archived(found, at=locked.now)
    record(cur, [fact], author=author)
    return new

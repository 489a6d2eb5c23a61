"""Archiving budgets."""

from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.permissions import Permit
from spend.queries.budgets import find_budget, level_of
from spend.rules.budgetfacts import Budget, archived


def archive_budget(
    cur: Cursor,
    organization: UUID,
    budget: UUID,
    *,
    author: Author,
    permit: Permit | None = None,
) -> Budget:
    """This function will end a budget: the gate no longer obeys it, its counters stay and open holds still settle.

    Archiving an archived one changes nothing. `permit` as in `create_budget`. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    found = find_budget(cur, organization=organization, budget=budget)
    if permit is not None:
        permit(level_of(cur, found))
    new, fact = archived(found, at=locked.now)
    record(cur, [fact], author=author)
    return new

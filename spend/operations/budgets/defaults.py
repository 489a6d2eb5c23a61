"""Setting default policies (S44)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import PolicyLevel
from spend.operations.budgets.archive import archive_budget
from spend.operations.budgets.change import change_budget
from spend.operations.budgets.create import Permit, create_budget
from spend.queries.budgets import default_budgets
from spend.rules.defaults import below, settle


def set_default_policies(
    cur: Cursor,
    organization: UUID,
    wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    author: Author,
    permit: Permit | None = None,
) -> None:
    """This function will make the budgets without a target of each named scope (agent, workflow, run) those stated.

    One that counts the same in the same window is changed and keeps its counters, a new one is made, one that is not
    stated any more is archived; each is an event with old and new values. The gate's next decision obeys them all, or
    none when one is refused. The same again changes nothing. `permit` as in `create_budget`.
    Raises what making and changing a budget does, with pointers into the whole body.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if permit is not None:
        permit(PolicyLevel())
    live = default_budgets(cur, organization=organization, scopes=tuple(wanted))
    for scope, stated in wanted.items():
        of_scope = [budget for budget in live if budget.scope == scope]
        settled = settle(scope, stated, of_scope, currency=locked.currency, time_zone=locked.time_zone)
        for budget in settled.ended:
            archive_budget(cur, organization, budget.id, author=author)
        for place, budget, changes in settled.changes:
            with below(place):
                change_budget(cur, organization, budget.id, changes, author=author)
        for place, terms in settled.made:
            with below(place):
                create_budget(cur, organization, terms, author=author)

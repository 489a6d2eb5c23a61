"""Setting default policies (S44)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import Permit, PolicyLevel
from orgs.rules.rows import LockedOrganization
from spend.operations.budgets.archive import archive_budget
from spend.operations.budgets.change import change_budget
from spend.operations.budgets.create import create_budget
from spend.operations.ratelimits.change import archive_rate_limit, change_rate_limit
from spend.operations.ratelimits.create import create_rate_limit
from spend.queries.budgets import default_budgets
from spend.queries.ratelimits import default_rate_limits
from spend.rules.defaults import below, budget_counts, limit_counts, settle, stated_budgets, stated_limits

Values = Sequence[Mapping[str, Any]]


def set_default_policies(
    cur: Cursor,
    organization: UUID,
    wanted: Mapping[str, Mapping[str, Values]],
    *,
    author: Author,
    permit: Permit | None = None,
) -> None:
    """This function will make the budgets and rate limits without a target of a scope those that are stated:
    `wanted[scope]["budgets"]` and `wanted[scope]["rate_limits"]`; a list that is not there is left as it is.

    One that counts the same in the same window is changed and keeps its counters, a new one is made, one that is not
    stated any more is archived; each is an event with old and new values. The gate's next decision obeys them all, or
    none when one is refused. The same again changes nothing. `permit` as in `create_budget`.
    Raises what making and changing budgets and rate limits does, with pointers into the whole body.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if permit is not None:
        permit(PolicyLevel())
    for scope, lists in wanted.items():
        # Limits first: a budget's threshold may name one of them as the rate that it slows.
        if "rate_limits" in lists:
            _set_limits(cur, organization, scope, lists["rate_limits"], author)
        if "budgets" in lists:
            _set_budgets(cur, locked, scope, lists["budgets"], author)


def _set_budgets(cur: Cursor, locked: LockedOrganization, scope: str, values: Values, author: Author) -> None:
    live = default_budgets(cur, organization=locked.id, scopes=(scope,))
    stated = stated_budgets(scope, values, currency=locked.currency, time_zone=locked.time_zone)
    settled = settle(stated, live, budget_counts)
    for budget in settled.ended:
        archive_budget(cur, locked.id, budget.id, author=author)
    for one, budget in settled.changes:
        with below(one.place):
            change_budget(cur, locked.id, budget.id, one.whole, author=author)
    for one in settled.made:
        with below(one.place):
            create_budget(cur, locked.id, one.terms, author=author)


def _set_limits(cur: Cursor, organization: UUID, scope: str, values: Values, author: Author) -> None:
    live = default_rate_limits(cur, organization=organization, scopes=(scope,))
    settled = settle(stated_limits(scope, values), live, limit_counts)
    for limit in settled.ended:
        archive_rate_limit(cur, organization, UUID(str(limit.id)), author=author)
    for one, limit in settled.changes:
        with below(one.place):
            change_rate_limit(cur, organization, UUID(str(limit.id)), one.whole, author=author)
    for one in settled.made:
        with below(one.place):
            create_rate_limit(cur, organization, one.terms, author=author)

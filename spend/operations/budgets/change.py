"""Changing budgets (S42)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_open
from orgs.rules.permissions import Permit
from spend.operations.budgets.firing import fire_standing
from spend.operations.budgets.rates import check_rates
from spend.operations.targets import Target
from spend.queries.budgets import find_budget, level_of
from spend.rules.budgetfacts import Budget, changed


def change_budget(
    cur: Cursor,
    organization: UUID,
    budget: UUID,
    changes: Mapping[str, Any],
    *,
    author: Author,
    permit: Permit | None = None,
) -> Budget:
    """This function will give a budget another `limit`, `overdraft`, `mode` or `thresholds` (texts as in requests).

    The gate's next decision obeys it. Below what is spent and held is allowed: nothing is released or lost, and every
    threshold that is reached then fires at once, as when the budget is enforced from now on. The event keeps the actor
    and every old and new value. The same values again change nothing. `permit` as in `create_budget`. Raises NotFound,
    InvalidTransition (archived), InvalidAmount, InvalidThresholds (and whatever else `parse_thresholds` does),
    RateLimitMismatch, AmountOutOfRange and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = find_budget(cur, organization=organization, budget=budget)
    if permit is not None:
        permit(level_of(cur, found))
    new, fact = changed(found, changes, at=locked.now)
    if new.thresholds != found.thresholds:
        target = Target(new.target_id, new.target_label)
        check_rates(cur, organization, new.thresholds, scope=new.scope, target=target)
    record(cur, [fact], author=author)
    if new.arming != found.arming or (new.mode == "enforce" and found.mode != "enforce"):
        fire_standing(cur, new, author=author, now=locked.now, currency=locked.currency)
    return new

"""Raising budgets for a while, and ending that (S42)."""

from uuid import UUID

from common.errors import InvalidField
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_open
from orgs.rules.permissions import Permit
from spend.operations.targets import find_target, root_run_key
from spend.queries.budgets import find_budget, level_of
from spend.queries.overrides import OverrideRow, find_override
from spend.rules.budgetfacts import Budget
from spend.rules.overrides import OverrideTerms, check_terms, created, ended


def create_override(
    cur: Cursor,
    organization: UUID,
    budget: UUID,
    terms: OverrideTerms,
    *,
    author: Author,
    permit: Permit | None = None,
) -> OverrideRow:
    """This function will raise a budget for one run, until a time, or both; the gate's next decision obeys it.

    `permit` as in `create_budget`. Raises NotFound, InvalidField, InvalidAmount, InvalidPeriod, LimitNotRaised,
    AmountOutOfRange, InvalidTransition (the budget or target is archived), RunIsChild and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = find_budget(cur, organization=organization, budget=budget)
    if permit is not None:
        permit(level_of(cur, found))
    check_terms(terms)
    override, fact = created(
        terms,
        found,
        identifier=new_id(),
        target=_target(cur, found, terms),
        run_key=_run(cur, found, terms),
        by=author.actor,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return OverrideRow(override, found.scope, found.unit)


def end_override(
    cur: Cursor,
    organization: UUID,
    override: UUID,
    *,
    reason: str,
    author: Author,
    permit: Permit | None = None,
) -> OverrideRow:
    """This function will end an override before its time; the gate's next decision obeys it.

    `permit` as in `create_budget`. Raises NotFound, and InvalidTransition for one that is over.
    """
    locked = lock_organization(cur, organization)
    found = find_override(cur, organization=organization, override=override)
    if permit is not None:
        budget = find_budget(cur, organization=organization, budget=UUID(str(found.override.budget_id)))
        permit(level_of(cur, budget))
    new, fact = ended(found.override, by=author.actor, reason=reason, at=locked.now)
    record(cur, [fact], author=author)
    return found._replace(override=new)


def _target(cur: Cursor, budget: Budget, terms: OverrideTerms) -> str | None:
    """For whom of a budget that everyone of its scope has; None: for all of them."""
    if terms.target is None:
        return None
    if budget.target_id is not None or budget.target_label is not None or budget.scope == "organization":
        raise InvalidField("The budget has one target only.", pointer="/target")
    found = find_target(cur, budget.organization, scope=budget.scope, name=terms.target)
    return found.counted_as


def _run(cur: Cursor, budget: Budget, terms: OverrideTerms) -> str | None:
    if terms.run is None:
        return None
    key = root_run_key(cur, budget.organization, name=terms.run, pointer="/run")
    if budget.scope == "run" and budget.target_label not in (None, key):
        raise InvalidField("The budget is another run's.", pointer="/run")
    return key

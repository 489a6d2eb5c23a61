"""Making budgets (S25, S26)."""

from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import Permit
from spend.operations.budgets.rates import check_rates
from spend.operations.targets import find_target
from spend.rules.budgetfacts import Budget, Terms, check_terms, created


def create_budget(
    cur: Cursor, organization: UUID, terms: Terms, *, author: Author, permit: Permit | None = None
) -> Budget:
    """This function will make a budget; the gate obeys it from its next decision on (S42).

    `permit` gets the level that the budget belongs to and raises when the caller may not edit it (S43).
    Raises NotFound (a target or rate limit that the organization does not have, S20), InvalidField, CurrencyMismatch,
    AmountOutOfRange, InvalidTransition (an archived one), RateLimitMismatch, RunIsChild and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    check_terms(terms, currency=locked.currency)
    target = find_target(cur, organization, scope=terms.scope, name=terms.target)
    if permit is not None:
        permit(target.level(terms.scope))
    check_rates(cur, organization, terms.thresholds, scope=terms.scope, target=target)
    budget, fact = created(
        terms,
        identifier=new_id(),
        organization=organization,
        target_id=target.id,
        target_label=target.label,
        time_zone=terms.time_zone or locked.time_zone,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return budget

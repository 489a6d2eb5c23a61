"""Making run policies (S54 to S56)."""

from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import Permit
from spend.operations.targets import find_target
from spend.rules.runpolicies import RunPolicy
from spend.rules.runpolicyfacts import PolicyTerms, created


def create_run_policy(
    cur: Cursor, organization: UUID, terms: PolicyTerms, *, author: Author, permit: Permit | None = None
) -> RunPolicy:
    """This function will make a run policy; the gate obeys it from its next decision on (S42).

    `permit` gets the level that the policy belongs to and raises when the caller may not edit it (S43).
    Raises NotFound (a target that the organization does not have, S20), InvalidField, InvalidTransition (an archived
    target), RunIsChild and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    target = find_target(cur, organization, scope=terms.scope, name=terms.target)
    if permit is not None:
        permit(target.level(terms.scope))
    policy, fact = created(
        terms,
        identifier=new_id(),
        organization=organization,
        target_id=target.id,
        target_label=target.label,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return policy

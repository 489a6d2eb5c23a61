"""A person's decision on a threshold that waits for one (S35)."""

from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_open
from orgs.rules.permissions import Permit
from spend.queries.approvals import ApprovalRow, find_approval
from spend.queries.budgets import find_budget, level_of
from spend.rules.approvals import decided


def decide_approval(
    cur: Cursor,
    organization: UUID,
    approval: UUID,
    decision: str,
    *,
    reason: str,
    author: Author,
    permit: Permit | None = None,
) -> ApprovalRow:
    """This function will "approve" or "reject" what waits; approved, the window's calls pass from the next decision on.

    Only the one that crosses a higher threshold with require_approval asks again. `permit` as in `create_budget`: who
    may decide is who may edit the budget, so a member's key, which may have crossed it, may not. Raises NotFound,
    OrganizationClosed, and InvalidTransition for a second decision, or one that could no longer have an effect.
    """
    locked = lock_organization(cur, organization)
    require_open(locked)
    found = find_approval(cur, organization=organization, approval=approval, now=locked.now)
    budget = find_budget(cur, organization=organization, budget=UUID(str(found.approval.budget_id)))
    if permit is not None:
        permit(level_of(cur, budget))
    new, fact = decided(found.approval, budget, decision, by=author.actor, reason=reason, at=locked.now)
    record(cur, [fact], author=author)
    return found._replace(approval=new, status=new.status)

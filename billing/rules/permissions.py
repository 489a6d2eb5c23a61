"""Who decides for a customer in matters of billing (S72)."""

from common.errors import Forbidden
from orgs.rules.permissions import Principal
from orgs.rules.scopes import ADMIN, BILLING_ADMIN, BILLING_WRITE, OWNER


def may_bill(principal: Principal) -> bool:
    """Whether a principal may change what the customer is billed for and how: the platform, an owner's or a billing
    administrator's key, or one without a member; with the scope billing:write or admin, and for all agents."""
    if principal.is_limited or principal.role not in (None, OWNER, BILLING_ADMIN):
        return False
    return principal.has_scope(BILLING_WRITE) or principal.has_scope(ADMIN)


def require_billing(principal: Principal) -> None:
    """Refuse whoever does not decide in matters of billing. Raises Forbidden."""
    if not may_bill(principal):
        raise Forbidden(
            "Only an owner, a billing administrator, or a key without a member with billing:write does this."
        )


def require_billing_reader(principal: Principal) -> None:
    """Refuse members who neither own the organization nor look after its billing. Raises Forbidden."""
    if principal.role not in (None, OWNER, BILLING_ADMIN):
        raise Forbidden("Only an owner, a billing administrator, or a key without a member reads this.")

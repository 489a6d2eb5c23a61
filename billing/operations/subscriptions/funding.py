"""Whether a plan that is invoiced after credit can be sold to an organization."""

from billing.rules.plans import CREDIT_THEN_INVOICE, PlanTerms
from common.errors import ProblemError
from orgs.rules.rows import LockedOrganization


class CreditLimitUnknown(ProblemError):
    """The plan is invoiced after credit, and neither it nor the organization says up to which amount."""

    code = "credit_limit_unknown"
    status = 409


def require_credit_limit(locked: LockedOrganization, terms: PlanTerms) -> None:
    """This function will refuse a plan whose line would have no limit that anybody decided on. Raises
    CreditLimitUnknown."""
    if terms.funding != CREDIT_THEN_INVOICE or locked.funding == "postpaid":
        return
    if terms.credit_limit is None or locked.currency not in terms.credit_limit:
        raise CreditLimitUnknown(
            "This plan is invoiced after credit, and the organization is prepaid. Publish a version of the plan with "
            f"a credit_limit in {locked.currency}, or sell it to a postpaid organization.",
            pointer="/plan",
        )

"""Whether a payout may be made, of how much, and what it waits for. Pure (S99, S101, S103)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from common.errors import InvalidTransition, ProblemError
from common.money import format_amount
from orgs.rules.facts import time_text
from payouts.rules.partners import ACTIVE, ONBOARDING, Partner
from payouts.rules.paying.amounts import least_payout, payable_part
from payouts.rules.paying.row import ACCOUNT, DESTINATION, NEGATIVE, REVIEW, Payout
from payouts.rules.paying.states import APPROVED, CANCELED, FAILED, HELD, PENDING_APPROVAL
from payouts.rules.withdrawing import REASONS, Reason, Withdrawable

APART: Final = timedelta(hours=24)
"""Between two payouts of a partner."""


class PayoutAccountMissing(ProblemError):
    """There is no payout account yet that money could be sent to: complete the onboarding first."""

    code = "payout_account_missing"
    status = 409
    title = "No payout account"


class PayoutUnderWay(ProblemError):
    """A payout of this partner is under way; the next one can be requested when it has ended."""

    code = "payout_under_way"
    status = 409
    title = "Payout under way"


class PayoutTooSoon(ProblemError):
    """The last payout was requested less than 24 hours ago."""

    code = "payout_too_soon"
    status = 409
    title = "Too soon for a payout"


class BelowMinimumPayout(ProblemError):
    """The amount is less than the least payout."""

    code = "below_minimum_payout"
    status = 422
    title = "Below the minimum payout"


class NotWithdrawable(ProblemError):
    """That much cannot be withdrawn now."""

    code = "not_withdrawable"
    status = 409
    title = "Not withdrawable"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is set for all: above which amount (units) a second person approves; how long a new bank account waits."""

    approval_above: int
    destination_wait: timedelta


def available_for_payout(found: Withdrawable) -> int:
    """Return what a payout may take: also what only a review holds, for such a payout is made and held (Z6)."""
    by_hand = sum(reason.amount for reason in found.reasons if reason.code == "manual_hold")
    return found.withdrawable + by_hand


def amount_of(
    partner: Partner, found: Withdrawable, wanted: int | None, last: Payout | None, *, now: datetime
) -> int:
    """Return how much (units) a payout is of that is asked for now; `wanted` None: all there is. It is cut down to what
    a bank account takes, the rest stays.

    `last` is the partner's latest payout that took something. Raises PayoutAccountMissing, PayoutUnderWay,
    PayoutTooSoon, NotWithdrawable, BelowMinimumPayout, and InvalidTransition where no least payout is known.
    """
    if partner.stripe_account is None or partner.status == ONBOARDING or partner.destination is None:
        raise PayoutAccountMissing
    if last is not None and not last.is_settled:
        raise PayoutUnderWay(extra={"payout": str(last.id)})
    if last is not None and last.state not in (FAILED, CANCELED) and now < last.requested_at + APART:
        wait = int((last.requested_at + APART - now).total_seconds()) + 1
        raise PayoutTooSoon(retry_after=wait)
    free = available_for_payout(found)
    amount = payable_part(free if wanted is None else wanted, currency=partner.currency)
    if amount > free:
        raise NotWithdrawable(extra={"withdrawable": format_amount(free), "currency": partner.currency})
    least = least_payout(partner.currency, agreed=partner.terms.minimum)
    if amount < least or amount == 0:
        raise BelowMinimumPayout(extra={"minimum": format_amount(least), "currency": partner.currency})
    return amount


def waits_of(
    partner: Partner, found: Withdrawable, last: Payout | None, *, now: datetime, wait: timedelta
) -> tuple[Reason, ...]:
    """Return why a payout of all there is would be refused now, by the rule that refuses it, or held for a new bank
    account (`wait`: how long); nothing where there is nothing to pay out and nothing on its way."""
    is_open = last is not None and not last.is_settled
    if available_for_payout(found) <= 0 and not is_open:
        return ()
    reasons = []
    changed = partner.destination_changed_at
    if changed is not None and now < changed + wait:
        reasons.append(_waiting("destination_changed", time_text(changed + wait)))
    try:
        amount_of(partner, found, None, last, now=now)
    except PayoutAccountMissing:
        pass  # account_not_ready says so
    except PayoutTooSoon as refused:
        assert last is not None
        reasons.append(_waiting(refused.code, time_text(last.requested_at + APART)))
    except BelowMinimumPayout as refused:
        reasons.append(_waiting(refused.code, f"{refused.extra['minimum']} {partner.currency}"))
    except InvalidTransition:
        reasons.append(_waiting("minimum_unknown"))
    except ProblemError as refused:
        reasons.append(_waiting(refused.code))
    return tuple(reasons)


def _waiting(code: str, *named: object) -> Reason:
    return Reason(code, 0, REASONS[code].format(*named))


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a payout is held, and until when at least."""

    code: str
    note: str
    until: datetime | None = None


def hold_of(
    partner: Partner, payout: Payout, limits: Limits, *, balance: int = 0, now: datetime
) -> Hold | None:
    """Return what keeps a payout from being sent now; None: nothing. A payout goes to the account and the bank account
    that it was judged for. `balance`: what is left of the partner's, in units; below zero, what the payout took was
    taken back meanwhile."""
    if partner.status != ACTIVE or partner.destination is None or partner.stripe_account != payout.account:
        return Hold(ACCOUNT, partner.disabled_reason or f"The account is {partner.status}.")
    changed = partner.destination_changed_at
    if changed is not None and now < changed + limits.destination_wait:
        return Hold(DESTINATION, "The bank account was changed lately.", changed + limits.destination_wait)
    if payout.destination != partner.destination:
        return Hold(DESTINATION, "The bank account is another than the one that it was judged for.")
    if partner.terms.hold_reason is not None and payout.reviewed_by is None:
        return Hold(REVIEW, partner.terms.hold_reason)
    if balance < 0:
        return Hold(NEGATIVE, "More was taken back than came since; the payout would be more than is owed.")
    return None


def next_state(payout: Payout, hold: Hold | None, limits: Limits) -> str:
    """Return what a payout that nobody decided on becomes: held, for a second person, or ready to be sent."""
    if hold is not None:
        return HELD
    if payout.amount > limits.approval_above and payout.approved_by is None:
        return PENDING_APPROVAL
    return APPROVED

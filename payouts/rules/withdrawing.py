"""What of a partner's share can be withdrawn now, and why not the rest. Pure; amounts in units (S99, S105)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from payouts.rules.partners import ACTIVE, WHOLE, Partner

REASONS: Final = {
    "not_collected": "The customers have not paid for it yet.",
    "in_holdback": "It was collected less than the holdback ago.",
    "on_hold": "It is held for a payout.",
    "reserved": "It stays back as a reserve against refunds and disputes.",
    "manual_hold": "Finance holds your payouts.",
    "negative_balance": "More was taken back than came since.",
    "account_not_ready": "Your payout account cannot take money yet.",
    "destination_changed": "Your bank account was changed lately; a payout waits until {}.",
    "payout_under_way": "A payout is under way; the next one can be requested when it has ended.",
    "payout_too_soon": "The last payout was requested less than 24 hours ago; the next one can be from {} on.",
    "below_minimum_payout": "It is less than the least payout of {}.",
    "minimum_unknown": "No least payout is known in your currency: your terms have to say one.",
}
"""Why something that was earned cannot be withdrawn, by code."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the books say. `earned` is less what was clawed back; `balance` is that of `partner_payable`, below zero
    after a clawback of what was paid out; `recent`: what came into it lately."""

    earned: int
    collected: int
    past_holdback: int
    balance: int
    on_hold: int = 0
    recent: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an amount that was earned cannot be withdrawn now. 0: it concerns all of it."""

    code: str
    amount: int
    detail: str


@dataclass(frozen=True, slots=True)
class Withdrawable:
    """The four numbers and what lies between them, in units. `held`: by a person or for a payout; `reserved`: as a
    reserve. `withdrawable` is never below zero."""

    currency: str
    earned: int
    collected: int
    past_holdback: int
    balance: int
    reserved: int
    held: int
    withdrawable: int
    reasons: tuple[Reason, ...]


def judge(partner: Partner, figures: Figures) -> Withdrawable:
    """Return what can be withdrawn now: the balance less what is held and reserved, nothing below zero, nothing while
    finance holds it.

    An account that cannot take money is a reason that a payout waits for; it takes nothing from the number.
    """
    terms, balance = partner.terms, figures.balance
    free = max(0, balance - figures.on_hold)
    reserved = min(free, -(-figures.recent * terms.reserve_rate // WHOLE)) if figures.recent > 0 else 0
    rest = free - reserved
    by_hand = rest if terms.hold_reason is not None else 0
    found = [
        _reason("not_collected", figures.earned - figures.collected),
        _reason("in_holdback", figures.collected - figures.past_holdback),
        _reason("on_hold", figures.on_hold),
        _reason("reserved", reserved),
        _reason("negative_balance", -balance),
    ]
    if terms.hold_reason is not None:
        found.append(Reason("manual_hold", by_hand, terms.hold_reason))
    if partner.status != ACTIVE:
        found.append(Reason("account_not_ready", 0, REASONS["account_not_ready"]))
    return Withdrawable(
        partner.currency,
        figures.earned,
        figures.collected,
        figures.past_holdback,
        balance,
        reserved,
        figures.on_hold + by_hand,
        rest - by_hand,
        tuple(one for one in found if one is not None),
    )


def _reason(code: str, amount: int) -> Reason | None:
    return Reason(code, amount, REASONS[code]) if amount > 0 else None

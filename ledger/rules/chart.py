"""The chart of accounts: which kinds there are, their normal side, and which have a limit."""

from typing import Final

KINDS: Final = (
    "customer_credit", "receivable", "unbilled_receivable", "deferred_revenue", "revenue", "promotional_expense",
    "cash", "processor_clearing", "processor_fees", "provider_cost", "provider_payable", "partner_earned",
    "partner_payable", "payout_in_transit", "intercompany_clearing", "platform_fee", "tax_payable", "rounding", "fx",
    "bad_debt", "suspense", "breakage",
)  # fmt: skip
LIVE: Final = frozenset(("customer_credit", "unbilled_receivable", "partner_payable"))
"""Kinds with a limit: posted and held stand in the account's row, under its organization's lock."""


def credit_limit(kind: str, *, funding: str, limit: int | None) -> int | None:
    """Return how far an account may go below zero by a hold, in units; None: no floor.

    Only the postpaid line of a postpaid organization has room below zero (L6).
    """
    if kind == "unbilled_receivable" and funding == "postpaid":
        return limit
    return 0 if kind in LIVE else None

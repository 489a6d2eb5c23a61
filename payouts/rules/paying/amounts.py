"""What can be paid out of an amount: whole minor units, in some currencies whole units only; and the least payout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from billing.rules.payments.minor import charged_step
from common.money import UNIT_DECIMALS

ONE: Final = 10**UNIT_DECIMALS
WHOLE_UNIT_PAYOUTS: Final = frozenset({"HUF", "ISK", "TWD", "UGX"})
"""Two decimals at the processor, but only whole units reach a bank account."""
DEFAULT_MINIMUMS: Final[Mapping[str, int]] = {
    "USD": 10, "EUR": 13, "GBP": 15, "CHF": 15,
    "AUD": 15, "BRL": 50, "CAD": 14, "CLP": 10_000, "COP": 40_000, "CZK": 220, "DKK": 65, "HKD": 78, "HUF": 3_600,
    "IDR": 160_000, "INR": 850, "ISK": 1_300, "JPY": 1_500, "KRW": 14_000, "MXN": 190, "MYR": 45, "NOK": 105, "NZD": 17,
    "PHP": 580, "PLN": 40, "RON": 45, "SEK": 100, "SGD": 13, "THB": 330, "TRY": 420, "TWD": 320, "UAH": 420,
    "UGX": 36_000, "VND": 260_000, "ZAR": 180,
}  # fmt: skip
"""The least payout in whole units (S103): four as agreed, the others about ten US dollars. A partner's terms may say
another."""


AS_AGREED: Final = frozenset({"USD", "EUR", "GBP", "CHF"})
"""Currencies in which the limit of what one person may pay out is the number itself."""


def approval_above(currency: str, *, plain: int, named: Mapping[str, int]) -> int:
    """Return above which amount (units) a second person approves a payout: what is named for the currency, else the
    plain number, which is brought to other currencies as their least payouts are (ten of the number's). Where neither
    is known it is 0: always."""
    if currency in named or currency in AS_AGREED:
        return named.get(currency, plain)
    return plain * DEFAULT_MINIMUMS.get(currency, 0) // 10


def payout_step(currency: str) -> int:
    """Return the smallest amount (units) that reaches a bank account. Raises InvalidCurrency."""
    return ONE if currency in WHOLE_UNIT_PAYOUTS else charged_step(currency)


def payable_part(units: int, *, currency: str) -> int:
    """Return how much of an amount can be paid out; the rest stays where it is. Nothing below zero."""
    return max(0, units) // payout_step(currency) * payout_step(currency)


def least_payout(currency: str, *, agreed: int | None) -> int:
    """Return the least payout in units: what was agreed with the partner, or the currency's default, ten units where
    there is none."""
    return DEFAULT_MINIMUMS.get(currency, 10) * ONE if agreed is None else agreed

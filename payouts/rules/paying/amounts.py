"""What can be paid out of an amount: whole minor units, in some currencies whole units only; and the least payout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from billing.rules.payments.minor import charged_step
from common.errors import InvalidTransition
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
    "AED": 37, "ALL": 900, "AMD": 3_900, "ARS": 14_000, "AZN": 17, "BAM": 18, "BBD": 20, "BDT": 1_200, "BGN": 18,
    "BHD": 4, "BIF": 29_000, "BMD": 10, "BND": 13, "BOB": 69, "BSD": 10, "BWP": 135, "BYN": 33, "BZD": 20,
    "CDF": 28_000, "CNY": 72, "CRC": 5_100, "CVE": 960, "DJF": 1_780, "DOP": 620, "DZD": 1_300, "EGP": 490,
    "ETB": 1_400, "FJD": 23, "GEL": 27, "GHS": 120, "GIP": 8, "GMD": 700, "GNF": 86_000, "GTQ": 77, "GYD": 2_090,
    "HNL": 260, "HTG": 1_310, "ILS": 36, "IQD": 13_100, "JMD": 1_600, "JOD": 7, "KES": 1_290, "KGS": 870,
    "KHR": 40_000, "KMF": 4_250, "KWD": 3, "KYD": 8, "KZT": 5_200, "LAK": 216_000, "LKR": 3_000, "LSL": 180,
    "MAD": 95, "MDL": 175, "MGA": 45_000, "MKD": 560, "MNT": 35_000, "MOP": 80, "MUR": 460, "MVR": 154,
    "MWK": 17_300, "MZN": 640, "NAD": 180, "NGN": 15_000, "NIO": 368, "NPR": 1_380, "OMR": 4, "PAB": 10, "PEN": 36,
    "PGK": 42, "PKR": 2_800, "PYG": 76_000, "QAR": 37, "RSD": 1_050, "RWF": 14_500, "SAR": 38, "SBD": 84,
    "SCR": 145, "SRD": 380, "SZL": 180, "TJS": 100, "TND": 30, "TOP": 24, "TTD": 68, "TZS": 25_000, "UYU": 400,
    "UZS": 125_000, "VUV": 1_200, "WST": 28, "XAF": 5_900, "XCD": 27, "XOF": 5_900, "XPF": 1_080, "ZMW": 250,
}  # fmt: skip
"""The least payout in whole units (S103): four as agreed, the others about ten US dollars. A partner's terms may say
another. Currencies that are not here have no rate that one could go by: there the terms must."""


AS_AGREED: Final = frozenset({"USD", "EUR", "GBP", "CHF"})
"""Currencies in which the limit of what one person may pay out is the number itself."""


def approval_above(currency: str, *, plain: int, named: Mapping[str, int]) -> int:
    """Return above which amount (units) a second person approves a payout: what is named for the currency, else the
    plain number, which is brought to other currencies as their least payouts are (ten of the number's). Where neither
    is known it is 0: always."""
    if currency in named or currency in AS_AGREED:
        return named.get(currency, plain)
    return int(plain * DEFAULT_MINIMUMS.get(currency, 0) // 10)


def payout_step(currency: str) -> int:
    """Return the smallest amount (units) that reaches a bank account. Raises InvalidCurrency."""
    return ONE if currency in WHOLE_UNIT_PAYOUTS else charged_step(currency)


def payable_part(units: int, *, currency: str) -> int:
    """Return how much of an amount can be paid out; the rest stays where it is. Nothing below zero."""
    return max(0, units) // payout_step(currency) * payout_step(currency)


def least_payout(currency: str, *, agreed: int | None) -> int:
    """Return the least payout in units: what was agreed with the partner, or the currency's default. Raises
    InvalidTransition where there is neither."""
    if agreed is not None:
        return agreed
    if currency not in DEFAULT_MINIMUMS:
        raise InvalidTransition(
            f"No least payout is known in {currency}: the partner's terms have to say one."
        )
    return int(DEFAULT_MINIMUMS[currency] * ONE)

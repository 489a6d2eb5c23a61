"""Worked examples of commitments, overage and true-up (section 7, M1 to M9). M1 to M6 in minor units of USD.

M11, what rolls over, goes through HTTP: tests/functional/billing/test_contract_commitments.py.
"""

from fractions import Fraction

import pytest

from billing.rules.amounts import document_units_of
from billing.rules.commitments import Charge, Overage, settle, true_up_units
from tests.builders.charges import minor, of_minor


@pytest.mark.parametrize(
    ("case", "minimum", "share", "expected", "convention"),
    [
        ("M1", 1_000_000, Fraction(5, 7), 642_857, "per_day"),
        ("M3", 1_000_000, Fraction(56, 90), 560_000, "per_day"),
        ("M5", 1_000_000, Fraction(1), 900_000, ""),
        ("M6", 1, Fraction(1), 0, ""),
    ],
)
def test_a_commitment_line_is_what_the_fees_leave_of_it(
    case: str, minimum: int, share: Fraction, expected: int, convention: str
) -> None:
    fee = document_units_of(of_minor(100_000) * share, currency="USD")
    assert minor(true_up_units(of_minor(minimum), [fee], currency="USD", share=share)) == expected


@pytest.mark.parametrize(("case", "overage", "total"), [("M7", [6000, 7500], 14_500)])
def test_the_overage_factor_multiplies_what_exceeds_the_commitment(
    case: str, overage: list[int], total: int
) -> None:
    charges = [Charge("F1", Fraction(5000) * 1), Charge("F2", Fraction(2500) * 2)]
    settled = settle(Fraction(1000), charges, overage=Overage(Fraction("1.5")))
    assert [drawn.overage for drawn in settled.charges] == overage
    assert settled.covered + settled.overage == settled.total == total


@pytest.mark.parametrize(("case", "covered", "overage"), [("M9", 200, 100)])
def test_a_prepaid_amount_covers_a_charge_and_the_rest_is_overage(
    case: str, covered: int, overage: int
) -> None:
    settled = settle(Fraction(200), [Charge("service", Fraction(300))])
    assert (settled.covered, settled.overage) == (covered, overage)

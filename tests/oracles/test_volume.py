"""Worked examples of volume prices (section 2)."""

from fractions import Fraction

import pytest

from billing.rules.charges.pricing import price_line
from billing.rules.charges.usage import Measured, Usage, used
from tests.builders.charges import Tiers, amount, charge, ladder, with_convention

AT_ZERO = "flat_fee_at_zero=true"
V1: Tiers = [("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50")]
V2: Tiers = [("5", "0", "100"), ("10", "0", "150"), ("15", "10", "0"), (None, "5", "0")]
V3: Tiers = [
    ("10000", "0.001", "10"),
    ("50000", "0.0008", "10"),
    ("100000", "0.0006", "10"),
    (None, "0.0004", "10"),
]
V6: Tiers = [("1000", "0.10", "0"), ("10000", "0.05", "0"), (None, "0.01", "0")]


@pytest.mark.parametrize(
    ("case", "tiers", "units", "expected", "convention"),
    [
        ("V1-0", V1, "0", "10", AT_ZERO),
        ("V1-0-house", V1, "0", "0", ""),
        ("V1-100", V1, "100", "210", ""),
        ("V1-101", V1, "101", "101", ""),
        ("V1-200", V1, "200", "200", ""),
        ("V1-210", V1, "210", "155", ""),
        ("V2-0", V2, "0", "100", AT_ZERO),
        ("V2-0-house", V2, "0", "0", ""),
        ("V2-3", V2, "3", "100", ""),
        ("V2-5", V2, "5", "100", ""),
        ("V2-14", V2, "14", "140", ""),
        ("V2-15", V2, "15", "150", ""),
        ("V2-16", V2, "16", "80", ""),
        ("V2-100", V2, "100", "500", ""),
        ("V3", V3, "65000", "49", ""),
        ("V6", V6, "15000", "150", ""),
    ],
)
def test_all_units_cost_what_the_tier_they_reach_says(
    case: str, tiers: Tiers, units: str, expected: str, convention: str
) -> None:
    definition = charge("volume", **with_convention({"tiers": ladder(tiers)}, convention))
    assert amount(definition, units) == Fraction(expected)


@pytest.mark.parametrize(("case", "expected"), [("V1-pro", "149.3")])
def test_the_full_quantity_chooses_and_the_prorated_one_pays(case: str, expected: str) -> None:
    """A subscription bills it so, too: tests/oracles/test_weighted.py."""
    usage = Usage(Measured(Fraction(300), prorated=Fraction("198.6")))
    assert amount(charge("volume", tiers=ladder(V1)), usage) == Fraction(expected)


@pytest.mark.parametrize(("case", "in_between", "at_the_end"), [("V2-mid", None, 80)])
def test_volume_does_not_split_in_its_period(case: str, in_between: None, at_the_end: int) -> None:
    definition = charge("volume", tiers=ladder(V2))
    assert price_line(definition, used(10, last=False)) is in_between
    assert amount(definition, used(6, before=10)) == at_the_end

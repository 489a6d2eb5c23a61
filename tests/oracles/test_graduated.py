"""Worked examples of graduated prices (section 1)."""

from fractions import Fraction

import pytest

from billing.rules.amounts import exact_text
from billing.rules.charges.usage import used
from tests.builders.charges import Tiers, amount, charge, ladder, priced, with_convention

AT_ZERO = "flat_fee_at_zero=true"
G1: Tiers = [("10", "10", "2"), ("20", "5", "3"), (None, "5", "3")]
G2: Tiers = [("0.1", "10", "0"), ("1", "5", "0"), (None, "2", "0")]
G3: Tiers = [("5", "0", "100"), ("10", "0", "50"), ("15", "5", "0"), (None, "1", "0")]
G4: Tiers = [("5", "7", "0"), ("10", "6.5", "0"), (None, "6", "0")]
G5: Tiers = [("1000", "0.01", "0"), ("10000", "0.008", "0"), (None, "0.005", "0")]
G6: Tiers = [("1000", "0.10", "0"), ("10000", "0.05", "0"), (None, "0.01", "0")]


@pytest.mark.parametrize(
    ("case", "tiers", "units", "expected", "convention"),
    [
        ("G1-0", G1, "0", "2", AT_ZERO),
        ("G1-0-house", G1, "0", "0", ""),
        ("G1-1", G1, "1", "12", ""),
        ("G1-10", G1, "10", "102", ""),
        ("G1-12", G1, "12", "115", ""),
        ("G2-b", G2, "0.5", "3", ""),
        ("G3-22", G3, "22", "182", ""),
        ("G4-5", G4, "5", "35", ""),
        ("G4-6", G4, "6", "41.5", ""),
        ("G4-20", G4, "20", "127.5", ""),
        ("G4-25", G4, "25", "157.5", ""),
        ("G5", G5, "15000", "107", ""),
        ("G6", G6, "15000", "600", ""),
    ],
)
def test_units_cost_what_their_tiers_say(
    case: str, tiers: Tiers, units: str, expected: str, convention: str
) -> None:
    definition = charge("graduated", **with_convention({"tiers": ladder(tiers)}, convention))
    assert amount(definition, units) == Fraction(expected)


@pytest.mark.parametrize(
    ("case", "units", "expected"), [("G1-10", "10", "10.2"), ("G1-12", "12", "9.583333333333…")]
)
def test_the_mean_price_of_a_unit_is_for_display(case: str, units: str, expected: str) -> None:
    mean = amount(charge("graduated", tiers=ladder(G1)), units) / Fraction(units)
    assert exact_text(mean) == expected


def test_g3_22_names_what_each_tier_took() -> None:
    line = priced(charge("graduated", tiers=ladder(G3)), "22")
    assert [(use.quantity, use.amount) for use in line.tiers] == [(5, 100), (5, 50), (5, 25), (7, 7)]


@pytest.mark.parametrize(("case", "before", "missing"), [("G3-min0", 100, 900)])
def test_the_minimum_counts_earlier_lines(case: str, before: int, missing: int) -> None:
    line = priced(charge("graduated", tiers=ladder(G3), minimum="1000"), used(0, before=5))
    minimum = line.adjustment("minimum")
    assert line.gross.before == before
    assert line.amount == 0
    assert minimum is not None
    assert minimum.exact == missing

"""Worked examples of packages and blocks (section 3)."""

from fractions import Fraction
from typing import Any

import pytest

from billing.rules.charges.usage import used
from tests.builders.charges import amount, charge, priced

P13 = [
    {"size": "1", "price": "1.5", "blocks": "10"},
    {"size": "1", "price": "1.0", "blocks": "100"},
    {"size": "1", "price": "0.5"},
]
P9_TIER = [{"size": "1000", "price": "1.00"}]


@pytest.mark.parametrize(
    ("case", "model", "fields", "units", "expected"),
    [
        ("P1", "package", {"size": "10", "price": "100"}, "121", "1300"),
        ("P3", "package", {"size": "10", "price": "100", "included": "200"}, "121", "0"),
        ("P5-0", "package", {"size": "10", "price": "1"}, "0", "0"),
        ("P5-1", "package", {"size": "10", "price": "1"}, "1", "1"),
        ("P5-9", "package", {"size": "10", "price": "1"}, "9", "1"),
        ("P5-10", "package", {"size": "10", "price": "1"}, "10", "1"),
        ("P5-11", "package", {"size": "10", "price": "1"}, "11", "2"),
        ("P8-10", "package", {"size": "1000000", "price": "1.25"}, "10", "1.25"),
        ("P8-1000000", "package", {"size": "1000000", "price": "1.25"}, "1000000", "1.25"),
        ("P8-1500000", "package", {"size": "1000000", "price": "1.25"}, "1500000", "2.50"),
        ("P9", "package", {"size": "1000", "price": "1.00"}, "4500", "5"),
        ("P9-as-blocks", "blocks", {"mode": "top_tier", "tiers": P9_TIER}, "4500", "5"),
        ("P11", "per_unit", {"unit_price": "0.01", "included": "1000"}, "1300", "3.00"),
        ("P13", "blocks", {"mode": "all_tiers", "tiers": P13}, "111", "115.5"),
        ("P14", "blocks", {"mode": "top_tier", "tiers": P13}, "111", "55.5"),
    ],
)
def test_packages_and_blocks_are_rounded_up(
    case: str, model: str, fields: dict[str, Any], units: str, expected: str
) -> None:
    assert amount(charge(model, **fields), units) == Fraction(expected)


def test_p1_the_mean_price_of_a_unit_is_for_display() -> None:
    mean = amount(charge("package", size="10", price="100"), "121") / 121
    assert round(mean, 2) == Fraction("10.74")


@pytest.mark.parametrize(("case", "expected"), [("P6", 15)])
def test_a_later_line_pays_only_the_packages_it_opens(case: str, expected: int) -> None:
    assert amount(charge("package", size="10", price="15"), used(5, before=17)) == expected


@pytest.mark.parametrize(("case", "minutes_cost", "megabytes_cost"), [("P16", "0.5", "18")])
def test_every_kind_of_unit_is_a_charge_of_its_own(case: str, minutes_cost: str, megabytes_cost: str) -> None:
    minutes = priced(charge("package", size="1000", price="0.5"), "1000")
    megabytes = priced(charge("package", size="512", price="0.3"), "30720")
    assert (minutes.amount, megabytes.amount) == (Fraction(minutes_cost), Fraction(megabytes_cost))

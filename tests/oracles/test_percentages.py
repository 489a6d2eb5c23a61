"""Worked examples of percentages, dynamic prices, minimum, maximum and usage discount (section 4)."""

from fractions import Fraction
from typing import Any

import pytest

from billing.rules.amounts import amount_of
from billing.rules.charges.usage import used
from tests.builders.charges import Tiers, amount, charge, events, ladder, priced, with_convention

AT_ZERO = "flat_fee_at_zero=true"
FOUR = ("100", "150", "250", "300")
THREE = ("10", "80", "10000")
C6 = {"rate": "2.99", "event_minimum": "1.75", "event_maximum": "12"}
C11: Tiers = [("10", "1", "200"), ("20", "2", "300"), (None, "3", "400")]


@pytest.mark.parametrize(
    ("case", "fields", "amounts", "expected"),
    [
        ("C1", {"rate": "1.3", "fixed": "2.00", "free_volume": "250"}, FOUR, "11.15"),
        ("C3", {"rate": "1.3", "fixed": "2.00"}, FOUR, "18.40"),
        ("C5", {"rate": "0", "fixed": "2"}, FOUR, "8"),
        ("C6", C6, THREE, "16.142"),
        ("C8", C6 | {"free_volume": "30"}, THREE, "13.794"),
        ("C10", {"rate": "2.99"}, THREE, "301.691"),
    ],
)
def test_every_event_bears_its_percentage(
    case: str, fields: dict[str, Any], amounts: tuple[str, ...], expected: str
) -> None:
    assert amount(charge("percentage", **fields), events(*amounts)) == Fraction(expected)


def test_c1_and_c3_part_into_percentage_and_fees() -> None:
    free = priced(charge("percentage", rate="1.3", fixed="2.00", free_volume="250"), events(*FOUR))
    all_paid = priced(charge("percentage", rate="1.3", fixed="2.00"), events(*FOUR))
    parts = {
        line.amount: [step.result for step in line.steps if step.name in ("percentage", "fixed")]
        for line in (free, all_paid)
    }
    assert parts == {
        Fraction("11.15"): [Fraction("7.15"), 4],
        Fraction("18.40"): [Fraction("10.40"), 8],
    }


@pytest.mark.parametrize(
    ("case", "volume", "expected", "convention"),
    [
        ("C11-0", "0", "200", AT_ZERO),
        ("C11-0-house", "0", "0", ""),
        ("C11-1", "1", "200.01", ""),
        ("C11-10", "10", "200.1", ""),
        ("C11-11", "11", "500.12", ""),
        ("C11-12", "12", "500.14", ""),
        ("C11-21", "21", "900.33", ""),
    ],
)
def test_every_part_of_an_amount_bears_the_rate_of_its_tier(
    case: str, volume: str, expected: str, convention: str
) -> None:
    fields = with_convention({"tiers": ladder(C11, rate="rate")}, convention)
    assert amount(charge("graduated_percentage", **fields), volume) == Fraction(expected)


@pytest.mark.parametrize(
    ("case", "before", "parts"),
    [("C14", "93.33", [Fraction("66.67"), Fraction(-60), Fraction("6.67")])],
    ids=["C14"],
)
def test_the_maximum_takes_off_what_the_period_has_too_much(
    case: str, before: str, parts: list[Fraction]
) -> None:
    line = priced(charge("dynamic", multiplier="1.33333", maximum="100"), used(50, before=70))
    discount = line.adjustment("maximum")
    assert discount is not None
    documents = [part.document_units("USD") for part in (line.gross, discount, line.net)]
    assert [amount_of(units) for units in documents] == parts
    earlier = priced(charge("dynamic", multiplier="1.33333", maximum="100"), used(70, last=False))
    assert amount_of(earlier.net.document_units("USD")) == Fraction(before)
    assert amount_of(earlier.net.document_units("USD") + documents[2]) == 100


@pytest.mark.parametrize(("case", "expected"), [("C15", 50)])
def test_credits_are_bought_at_their_rate(case: str, expected: int) -> None:
    assert amount(charge("per_unit", unit_price="0.50"), "100") == expected


@pytest.mark.parametrize(("case", "billed"), [("C16", [0, 50, 100])])
def test_a_usage_discount_is_used_up_line_by_line(case: str, billed: list[int]) -> None:
    definition = charge("per_unit", unit_price="1", usage_discount="500")
    lines = [used(300, last=False), used(250, before=300, last=False), used(100, before=550)]
    assert [priced(definition, line).billable for line in lines] == billed

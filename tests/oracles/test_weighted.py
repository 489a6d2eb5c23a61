"""Worked examples of weighted sums and prorated graduated quantities (section 5)."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from billing.rules.amounts import amount_of
from billing.rules.charges.usage import Measured, QuantityChange, Usage
from billing.rules.charges.weighted import DatedChange, weighted_sum
from tests.builders.charges import Tiers, amount, charge, ladder, priced, with_convention

START = datetime(2023, 8, 1, tzinfo=UTC)
END = datetime(2023, 9, 1, tzinfo=UTC)
SEATS: Tiers = [("5", "10", "100"), (None, "5", "50")]


@pytest.mark.parametrize(
    ("case", "changes", "expected"),
    [
        ("W2", [(0, "2"), (2, "-1")], "1.00269"),
        ("W4", [(0, "1000")], "1000"),
    ],
)
def test_a_weighted_sum_is_the_mean_of_what_was_held(
    case: str, changes: list[tuple[int, str]], expected: str
) -> None:
    dated = [DatedChange(START + timedelta(hours=hours), Fraction(quantity)) for hours, quantity in changes]
    assert round(weighted_sum(dated, start=START, end=END), 5) == Fraction(expected)


@pytest.mark.parametrize(
    ("case", "changes", "expected", "held", "mean"),
    [
        ("W5", [("5", "3.5"), ("5", "2.66667"), ("10", "2"), ("-6", "-2.2")], "197.33", 14, "14.10"),
        ("W7", [("5", "3.5"), ("2", "1"), ("-4", "-1.6"), ("10", "2")], "190.00", 13, None),
    ],
)
def test_a_prorated_quantity_is_spread_over_the_tiers_it_passed(
    case: str, changes: list[tuple[str, str]], expected: str, held: int, mean: str | None
) -> None:
    moves = tuple(QuantityChange(Fraction(full), Fraction(prorated)) for full, prorated in changes)
    line = priced(charge("graduated", tiers=ladder(SEATS)), Usage(Measured(changes=moves)))
    assert amount_of(line.gross.document_units("USD")) == Fraction(expected)
    assert line.billable == held
    assert (mean is None) or round(line.amount / held, 2) == Fraction(mean)


@pytest.mark.parametrize(
    ("case", "expected", "convention"), [("W9", 100, "flat_fee_at_zero=true"), ("W9-house", 0, "")]
)
def test_w9_no_change_at_all(case: str, expected: int, convention: str) -> None:
    definition = charge("graduated", **with_convention({"tiers": ladder(SEATS)}, convention))
    assert amount(definition, Usage(Measured())) == expected

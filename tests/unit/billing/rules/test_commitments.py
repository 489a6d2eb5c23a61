"""Commitments: drawing, overage, true-up and ramps. Windows and rollover: test_contract_commitments.py."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from billing.rules.commitments import (
    Charge,
    Overage,
    RampSegment,
    segment_at,
    settle,
    true_up_units,
)

HALF_MORE = Overage(Fraction(3, 2))


def charges(*amounts: int) -> list[Charge]:
    """Charges of so much each, for as many units at 1 each."""
    return [Charge(str(place), Fraction(amount), Fraction(amount)) for place, amount in enumerate(amounts)]


class TestACommitment:
    def test_is_drawn_from_in_order(self) -> None:
        settled = settle(Fraction(100), charges(60, 60, 10))
        assert [(drawn.covered, drawn.excess) for drawn in settled.charges] == [(60, 0), (40, 20), (0, 10)]
        assert (settled.unused, settled.true_up, settled.total) == (0, 0, 130)

    def test_that_is_not_reached_is_lifted(self) -> None:
        assert settle(Fraction(100), charges(60)).total == 100
        settled = settle(Fraction(100), charges(60), true_up=False)
        assert (settled.true_up, settled.unused, settled.total) == (0, 40, 60)

    def test_of_nothing_is_drawn_from_by_nothing(self) -> None:
        assert settle(Fraction(0), charges(5), overage=HALF_MORE).total == Fraction("7.5")
        assert settle(Fraction(5), []).total == 5

    def test_says_how_overage_comes_about(self) -> None:
        drawn = settle(Fraction(100), charges(160), overage=HALF_MORE).charges[0]
        assert [step.words for step in drawn.steps] == ["160 - 100 from the commitment = 60", "60 x 1.5 = 90"]

    def test_may_have_a_rate_for_what_exceeds_it(self) -> None:
        """300 units at 2 each: 100 of them, a third, exceed; they cost 5 each."""
        charge = Charge("api", Fraction(600), Fraction(300))
        settled = settle(Fraction(400), [charge], overage=Overage(rate=Fraction(5)))
        assert settled.overage == 500
        assert settled.charges[0].steps[-1].words == "300 units x 200 / 600 x 5 = 500"

    @pytest.mark.parametrize(
        "wrong",
        [{"factor": Fraction(-1)}, {"rate": Fraction(-1)}, {"factor": Fraction(2), "rate": Fraction(1)}],
    )
    def test_has_one_kind_of_overage(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            Overage(**wrong)

    def test_is_not_drawn_from_backwards(self) -> None:
        with pytest.raises(ValueError):
            Charge("wrong", Fraction(-1))


class TestATrueUp:
    def test_is_rounded_once_and_never_negative(self) -> None:
        assert true_up_units(Fraction(100), [3333 * 10**6], currency="USD", share=Fraction(1, 3)) == 0
        assert (
            true_up_units(Fraction(200), [3333 * 10**6], currency="USD", share=Fraction(1, 3)) == 3334 * 10**6
        )
        assert true_up_units(Fraction(1), [2 * 10**8], currency="USD") == 0


class TestARamp:
    SEGMENTS = (
        RampSegment(date(2026, 1, 1), Fraction(100)),
        RampSegment(date(2027, 1, 1), Fraction(200)),
        RampSegment(date(2028, 1, 1), Fraction(300)),
    )

    @pytest.mark.parametrize(
        ("day", "commitment"),
        [
            (date(2025, 12, 31), None),
            (date(2026, 1, 1), 100),
            (date(2026, 12, 31), 100),
            (date(2027, 1, 1), 200),
            (date(2030, 1, 1), 300),
        ],
    )
    def test_holds_from_a_day_on(self, day: date, commitment: int | None) -> None:
        segment = segment_at(self.SEGMENTS, day)
        assert (segment and segment.commitment) == commitment

    def test_goes_forward(self) -> None:
        with pytest.raises(ValueError):
            segment_at(self.SEGMENTS[::-1], date(2026, 1, 1))

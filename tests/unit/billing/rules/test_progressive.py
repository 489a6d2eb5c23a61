"""Thresholds of progressive billing, how far a period is, and what its last invoice states."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.rules.progressive import (
    MOST_NAMED,
    Progress,
    ProgressiveInvoice,
    Thresholds,
    read_progress,
    statement,
    used_units,
)
from common.money import MAX_UNITS

BOTH = Thresholds(once=(200, 500), recurring=1000)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)


def invoice(number: int, net: int, tax: int = 0) -> ProgressiveInvoice:
    return ProgressiveInvoice(UUID(int=number), f"INV-{number}", NOON, net, tax)


class TestThresholds:
    @pytest.mark.parametrize(
        ("total", "following"), [(0, 200), (199, 200), (200, 500), (500, 1500), (1499, 1500), (1500, 2500)]
    )
    def test_follow_the_total(self, total: int, following: int) -> None:
        assert BOTH.next_above(total) == following

    def test_may_only_recur(self) -> None:
        assert Thresholds(recurring=1000).next_above(999) == 1000

    def test_may_end(self) -> None:
        assert Thresholds(once=(200,)).next_above(200) is None
        assert Thresholds().next_above(0) is None

    @pytest.mark.parametrize(
        "wrong", [{"once": (0,)}, {"once": (5, 5)}, {"once": (5, 4)}, {"once": (-1,)}, {"recurring": 0}]
    )
    def test_are_above_nothing_and_rise(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            Thresholds(**wrong)


class TestAPeriodsProgress:
    def test_waits_for_what_is_missing_to_the_next_threshold(self) -> None:
        assert Progress(BOTH).trigger == 200
        assert Progress(BOTH).invoiced(220).trigger == 280
        assert Progress(BOTH).invoiced(720).trigger == 780  # two thresholds were passed at once
        assert Progress(Thresholds((200,))).invoiced(200).trigger is None

    def test_counts_many_small_thresholds_at_once(self) -> None:
        assert Progress(Thresholds(recurring=1)).invoiced(10**18).trigger == 1

    def test_waits_for_nothing_that_cannot_be_reached(self) -> None:
        assert Progress(Thresholds(recurring=MAX_UNITS)).invoiced(MAX_UNITS).trigger == MAX_UNITS
        assert Progress(Thresholds((10, MAX_UNITS))).invoiced(10).taken_back(10).trigger == MAX_UNITS
        assert Progress(Thresholds((), MAX_UNITS), fired=MAX_UNITS).trigger is None

    def test_fires_nothing_again_for_an_invoice_that_is_void(self) -> None:
        void = Progress(BOTH).invoiced(220).taken_back(220)
        assert (void.fired, void.billed, void.trigger) == (220, 0, 500)
        again = void.invoiced(510)
        assert (again.fired, again.billed, again.trigger) == (510, 510, 990)

    def test_begins_anew(self) -> None:
        over = Progress(BOTH).invoiced(720).ending(LATER).ending(NOON).ending(LATER)
        assert over.ends_at == NOON
        assert over.restarted(NOON) == Progress(BOTH)
        assert over.restarted(NOON - timedelta(days=1)) == Progress(BOTH, ends_at=NOON)

    def test_is_on_with_thresholds_and_as_long_as_one_fired(self) -> None:
        assert [Progress(BOTH).is_on, Progress(fired=5).is_on, Progress().is_on] == [True, True, False]

    @pytest.mark.parametrize(
        "progress", [Progress(BOTH, 720, 500, NOON), Progress(Thresholds((), 5)), Progress(fired=3)]
    )
    def test_is_read_as_it_was_written(self, progress: Progress) -> None:
        assert read_progress(progress.written(), None) == progress

    def test_of_one_threshold_from_before_recurs(self) -> None:
        assert Progress().written() is None
        assert read_progress(None, None) == Progress()
        assert read_progress(None, 250) == Progress(Thresholds((), 250))
        assert read_progress(None, 250).trigger == 250


class TestTheStatement:
    def test_is_the_fees_of_all_and_the_credit_for_what_came_before(self) -> None:
        said = statement([invoice(1, 200, 38), invoice(2, 50)], net=231)
        assert said is not None
        assert (said["fees"], said["credit"], said["credit_tax"], said["count"]) == (481, 250, 38, 2)
        assert said["invoices"][0] == {
            "id": str(UUID(int=1)), "number": "INV-1", "issued_at": "2027-03-01T12:00:00Z", "net": 200, "tax": 38,
        }  # fmt: skip

    def test_is_none_where_nothing_came_before(self) -> None:
        assert statement([], net=231) is None

    def test_counts_all_and_names_the_newest(self) -> None:
        said = statement([invoice(number, 1) for number in range(1, MOST_NAMED + 51)], net=0)
        assert said is not None
        assert (said["credit"], said["count"], len(said["invoices"])) == (150, 150, MOST_NAMED)
        assert said["invoices"][-1]["number"] == "INV-150"


def test_use_is_what_lines_over_use_bill() -> None:
    assert used_units([("usage", 5), ("metered", 7), ("recurring", 9), ("usage", -2)]) == 3

"""A metered period that is split (another plan and back, an add-on, an end and a new start) is rated as one."""

from typing import Any

import pytest

from tests.builders.billing import Billed, billed
from tests.builders.counted import charge, counts, metered_lines, plan
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import unique
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, now_of, owner, subscribe

LADDER = {
    "USD": {"model": "graduated", "tiers": [{"up_to": "10", "unit_price": "1"}, {"unit_price": "0.10"}]},
}


def total(made: Billed) -> float:
    return round(sum(map(float, metered_lines(made))), 2)


def end_month(made: Billed) -> None:
    made.pass_months()
    made.run()
    made.pass_months()
    made.run()
    made.assert_sound()


class TestFreeUnitsOfOnePeriod:
    def test_are_had_once_however_often_the_plan_is_changed(self) -> None:
        made, meter = billed(), make_meter("sum")
        who, (first, other) = owner(made.id), (plan(fee("10"), charge(meter)) for _ in range(2))
        sub = subscribe(who, first)
        for place, to in enumerate((other, first, other, first)):
            counts(made, meter, "10")
            made.customer.pass_time(days=place + 1)
            acted(who, sub, "change", {"plan": to.plan_key})
            made.run()
        end_month(made)
        assert total(made) == 30.0

    def test_are_had_once_when_it_is_canceled_and_subscribed_to_again(self) -> None:
        made, meter = billed(), make_meter("sum")
        who, sold = owner(made.id), plan(fee("10"), charge(meter))
        for _ in range(3):
            sub = subscribe(who, sold)
            counts(made, meter, "10")
            acted(who, sub, "cancel", {"when": "now"})
            made.run()
        end_month(made)
        assert metered_lines(made) == ["0.00", "10.00", "10.00"]

    def test_are_had_once_when_an_add_on_is_left_and_taken_again(self) -> None:
        made, meter = billed(), make_meter("sum")
        who, sold = owner(made.id), plan(fee("10"), charge(meter, addon=True))
        sub = subscribe(who, sold, add_ons=["use"])
        for _ in range(4):
            counts(made, meter, "10")
            acted(who, sub, "add-ons", {"remove": ["use"]})
            acted(who, sub, "add-ons", {"add": ["use"]})
            made.run()
        end_month(made)
        assert total(made) == 30.0

    def test_begin_anew_with_the_next_period(self) -> None:
        made, meter = billed(), make_meter("sum")
        who = owner(made.id)
        subscribe(who, plan(charge(meter)))
        for _ in range(3):
            counts(made, meter, "12")
            made.pass_months()
            made.run()
        assert metered_lines(made) == ["2.00", "2.00", "2.00"]

    def test_after_the_window_in_which_one_left_are_those_of_the_rest_of_the_new_period(self) -> None:
        """Canceled after 15 of 31 days and subscribed to anew at once: the old period's ten are for its own time, and
        the new one brings 15/31 of ten beyond it."""
        made, meter = billed(), make_meter("sum")
        who, sold = owner(made.id), plan(charge(meter), proration="per_second")
        sub = subscribe(who, sold)
        counts(made, meter, "10")
        made.customer.pass_time(days=15)
        acted(who, sub, "cancel", {"when": "now"})
        second = subscribe(who, sold)
        counts(made, meter, "10")
        made.customer.pass_time(days=16)
        counts(made, meter, "10")
        made.pass_months()
        made.run()
        lines = metered_lines(made)
        assert (lines[:2], len(lines)) == (["0.00", "10.00"], 3)
        assert 4.5 < float(lines[2]) < 5.5
        assert second["status"] == "active"
        made.assert_sound()


class TestTiersOfOnePeriod:
    @pytest.mark.parametrize("model", ["graduated", "volume"])
    def test_go_on_where_they_were(self, model: str) -> None:
        made, meter = billed(), make_meter("sum")
        price = {"USD": {**LADDER["USD"], "model": model}}
        who, (first, other) = owner(made.id), (plan(fee("10"), charge(meter, price)) for _ in range(2))
        sub = subscribe(who, first)
        counts(made, meter, "10")
        acted(who, sub, "change", {"plan": other.plan_key})
        made.run()
        counts(made, meter, "10")
        end_month(made)
        assert metered_lines(made)[:2] == (["10.00", "1.00"] if model == "graduated" else ["10.00", "-8.00"])

    def test_take_no_minimum_twice(self) -> None:
        made, meter = billed(), make_meter("sum")
        price = {"USD": {"model": "per_unit", "unit_price": "1", "minimum": "25"}}
        who, (first, other) = owner(made.id), (plan(fee("10"), charge(meter, price)) for _ in range(2))
        sub = subscribe(who, first)
        counts(made, meter, "10")
        acted(who, sub, "change", {"plan": other.plan_key})
        made.run()
        counts(made, meter, "20")
        made.pass_months()
        made.run()
        assert metered_lines(made)[:2] == ["25.00", "5.00"]


class TestNumbersThatAreNoSum:
    @pytest.mark.parametrize(
        ("aggregation", "given", "expected"),
        [
            ("max", {}, ["5.00", "3.00"]),
            ("latest", {}, ["5.00", "3.00"]),
            ("unique", {"unique_property": "who"}, ["1.00", "1.00"]),
        ],
    )
    def test_are_billed_for_what_the_later_part_adds(
        self, aggregation: str, given: dict[str, Any], expected: list[str]
    ) -> None:
        made, meter = billed(), make_meter(aggregation, **given)
        who, (first, other) = owner(made.id), (plan(fee("10"), charge(meter, included="0")) for _ in range(2))
        sub = subscribe(who, first)
        counts(made, meter, "5", who="a")
        acted(who, sub, "change", {"plan": other.plan_key})
        made.run()
        counts(made, meter, "3", who="a")
        counts(made, meter, "8", who="b")
        made.pass_months()
        made.run()
        assert metered_lines(made)[:2] == expected

    def test_a_level_is_billed_for_the_time_for_which_it_held(self) -> None:
        made, meter = billed(), make_meter("weighted_sum")
        who, (first, other) = owner(made.id), (plan(fee("10"), charge(meter, included="0")) for _ in range(2))
        sub = subscribe(who, first)
        made.customer.pass_time(seconds=1)
        record(made.id, new_event(meter.definition.event_type or "", now_of(made.id), {"units": "100"}))
        for to in (other, first, other):
            made.customer.pass_time(days=7)
            acted(who, sub, "change", {"plan": to.plan_key})
            made.run()
        made.customer.pass_time(days=14)
        made.run()
        assert total(made) == pytest.approx(100, abs=0.05)


class TestAnotherPrice:
    def test_has_the_free_units_of_its_own_share(self) -> None:
        """Ten free in a month, then a hundred: of each the share of its time, never more than a month of either."""
        made, meter = billed(), make_meter("sum")
        who = owner(made.id)
        small, large = plan(fee("10"), charge(meter)), plan(fee("100"), charge(meter, included="100"))
        sub = subscribe(who, small)
        counts(made, meter, "100")
        acted(who, sub, "change", {"plan": large.plan_key})
        counts(made, meter, "100")
        acted(who, sub, "change", {"plan": small.plan_key})
        made.run()
        counts(made, meter, "100")
        end_month(made)
        free = 300 - total(made)
        assert 9.9 < free < 10.5

    def test_left_and_taken_up_again_gives_back_what_was_too_much(self) -> None:
        """A part that was left had the free units of its time alone; taken up again it has those of both."""
        made, meter = billed(), make_meter("sum")
        who = owner(made.id)
        first, none = plan(fee("10"), charge(meter)), plan(fee("10"))
        sub = subscribe(who, first)
        counts(made, meter, "10")
        acted(who, sub, "change", {"plan": none.plan_key})
        made.run()
        assert total(made) > 9.9
        acted(who, sub, "change", {"plan": first.plan_key})
        end_month(made)
        assert 0 <= total(made) < 0.1


class TestLateFacts:
    def test_of_a_split_period_come_to_what_one_period_would(self) -> None:
        made, meter = billed(), make_meter("sum")
        who, (first, other) = owner(made.id), (plan(fee("10"), charge(meter)) for _ in range(2))
        sub = subscribe(who, first)
        event = counts(made, meter, "8")
        early = now_of(made.id)
        acted(who, sub, "change", {"plan": other.plan_key})
        made.run()
        counts(made, meter, "8")
        made.pass_months()
        made.run()
        assert total(made) == 6.0
        record(made.id, new_event(meter.definition.event_type or "", early, {"units": "4"}))
        end_month(made)
        assert total(made) == 10.0
        answer = who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        assert answer.status_code == 200
        end_month(made)
        assert total(made) == 2.0

"""What periods cost and bring: set-up fees, arrears, coupons, credit and what comes back of it, pauses."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from billing.rules.subscriptions import pausing
from billing.rules.subscriptions.allowances import Left, Running
from billing.rules.subscriptions.ending import decide_cancel_now, decide_coupon
from billing.rules.subscriptions.starting import NewSubscription, decide_start
from billing.rules.subscriptions.work import Known
from common.errors import CurrencyMismatch, InvalidTransition
from common.ids import new_id
from tests.builders.subscribed import (
    DOLLAR,
    ORGANIZATION,
    Catalog,
    Subscriber,
    amounts,
    coupon,
    day,
    fee,
    metered,
    seats,
    terms,
)

START = day("2026-04-01")
MIDDLE = day("2026-04-16")
CREDIT = [{"amounts": {"USD": "20"}}]
MORE = [{"amounts": {"USD": "50"}}]
YEAR = {"unit": "year", "count": 1}


def subscriber(plan: Any, **given: Any) -> Subscriber:
    catalog = Catalog()
    return Subscriber(catalog, catalog.add(plan, **given.pop("quantities", {})), START, **given)


class TestFees:
    def test_a_set_up_fee_is_owed_once(self) -> None:
        who = subscriber(terms(fee("10"), fee("99", "setup", kind="one_time")))
        who.until(day("2026-06-02"))
        kinds = [kind for decision in who.decisions for kind, _ in amounts(decision)]
        assert sorted(kinds) == ["one_time", "recurring", "recurring", "recurring"]

    def test_of_an_add_on_it_is_owed_with_the_add_on(self) -> None:
        who = subscriber(terms(fee("10"), fee("5", "sso", addon=True, kind="one_time")))
        with_it = replace(who.row.selection, add_ons=("sso",))
        made = who.change(with_it, MIDDLE, "invoice")
        assert amounts(made) == [("one_time", 500)]

    def test_in_arrears_they_are_owed_when_the_period_has_ended(self) -> None:
        who = subscriber(terms(fee("30", timing="arrears")))
        assert who.decisions[0].items == []
        (turn,) = who.until(day("2026-05-01"))
        (item,) = turn.items
        assert (item.amount, item.service_start, item.service_end) == (30 * DOLLAR, START, day("2026-05-01"))

    def test_in_arrears_a_change_bills_each_part_once(self) -> None:
        who = subscriber(terms(seats("10", timing="arrears")), quantities={"seats": 1})
        made = who.change(replace(who.row.selection, quantities={"seats": Fraction(3)}), MIDDLE, "invoice")
        assert amounts(made) == [("proration_charge", 500)]
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [("proration_charge", 1500)]

    def test_of_nothing_leave_no_item(self) -> None:
        assert subscriber(terms(metered())).decisions[0].items == []

    def test_are_refused_in_a_currency_that_the_plan_lacks(self) -> None:
        with pytest.raises(CurrencyMismatch):
            subscriber(terms(fee("10")), currency="EUR")


class TestIncludedCredit:
    @pytest.mark.parametrize(
        ("burnt", "back", "credit"), [(0, 10, -2450), (5, 10, -2450), (15, 5, -1950), (20, 0, -1450)]
    )
    def test_what_was_burnt_is_not_credited(self, burnt: int, back: int, credit: int) -> None:
        catalog = Catalog()
        small = catalog.add(terms(fee("49"), credits=CREDIT))
        big = catalog.add(terms(fee("99"), credits=MORE))
        who = Subscriber(catalog, small, START)
        who.burn(burnt * DOLLAR)
        made = who.change(big, MIDDLE, "invoice")
        assert amounts(made) == [("proration_credit", credit), ("proration_charge", 4950)]
        steps = [(step["name"], step["result"]) for step in made.items[0].steps]
        stays = [] if credit == -2450 else [("kept", f"{credit / 100}")]
        assert steps == [("proration", "-24.5"), *stays]
        assert sum(one.amount for one in made.clawbacks) == back * DOLLAR
        assert [(one.amount, one.deferred) for one in made.grants] == [(25 * DOLLAR, 25 * DOLLAR)]

    def test_what_is_held_is_not_taken_back(self) -> None:
        catalog = Catalog()
        small = catalog.add(terms(fee("49"), credits=CREDIT))
        who = Subscriber(catalog, small, START)
        (grant,) = who.left
        who.left[grant] = Left(20 * DOLLAR, 4 * DOLLAR)
        made = who.change(catalog.add(terms(fee("9"))), MIDDLE, "invoice")
        assert [one.amount for one in made.clawbacks] == [4 * DOLLAR]

    def test_an_item_names_the_credit_that_comes_out_of_it(self) -> None:
        (item,) = subscriber(terms(fee("49"), credits=CREDIT)).decisions[0].items
        assert item.included == 20 * DOLLAR

    def test_above_the_fee_it_is_given_away(self) -> None:
        (made,) = subscriber(terms(fee("9"), credits=CREDIT)).decisions[0].grants
        assert (made.amount, made.deferred) == (20 * DOLLAR, 9 * DOLLAR)

    def test_a_discounted_fee_pays_for_less_of_it(self) -> None:
        half = coupon(START, percent="50")
        (made,) = subscriber(terms(fee("20"), credits=CREDIT), coupons=(half,)).decisions[0].grants
        assert (made.amount, made.deferred) == (20 * DOLLAR, 10 * DOLLAR)

    def test_every_month_of_a_year_without_losing_a_cent(self) -> None:
        plan = terms(
            fee("100"),
            interval=YEAR,
            credits=[{"amounts": {"USD": "20"}, "every": {"unit": "month", "count": 1}}],
        )
        who = subscriber(plan)
        assert len(who.row.allowances) == 12
        assert sum(one.deferred for one in who.row.allowances) == 100 * DOLLAR
        assert [one.verb for one in who.until(day("2026-07-01"))] == ["credited"] * 3

    def test_gifts_of_an_ended_subscription_are_not_given_again(self) -> None:
        plan = terms(fee("0"), credits=CREDIT)
        catalog = Catalog()
        new = NewSubscription(new_id(), ORGANIZATION, "USD", catalog.add(plan), "UTC")
        running = [Running(day("2026-05-01"), 15 * DOLLAR)]
        made = decide_start(new, Known(plan, running=running), at=MIDDLE)
        assert [one.amount for one in made.grants] == [5 * DOLLAR]

    def test_that_rolls_over_has_no_end(self) -> None:
        plan = terms(fee("49"), credits=[{"amounts": {"USD": "20"}, "rollover": True}])
        (made,) = subscriber(plan).decisions[0].grants
        assert made.expires_at is None

    def test_in_a_trial_there_is_none(self) -> None:
        who = subscriber(terms(fee("49"), credits=CREDIT), trial_days=7)
        assert who.decisions[0].grants == []
        (turn,) = who.until(START + timedelta(days=8))
        assert len(turn.grants) == 1

    def test_fewer_seats_keep_the_part_of_the_fee_that_pays_for_credit(self) -> None:
        who = subscriber(terms(seats("20"), credits=CREDIT), quantities={"seats": 1})
        who.burn(20 * DOLLAR)
        made = who.change(replace(who.row.selection, quantities={"seats": Fraction(0)}), MIDDLE, "invoice")
        assert amounts(made) == []


class TestCoupons:
    def test_for_three_periods_lower_three(self) -> None:
        who = subscriber(terms(fee("10")), coupons=(coupon(START, left=3, percent="50"),))
        who.until(day("2026-08-02"))
        discounts = []
        for decision in who.decisions:
            discounts += [one.discount for one in decision.row.fees]
        assert discounts == [5 * DOLLAR, 5 * DOLLAR, 5 * DOLLAR, 0, 0]

    def test_redeemed_later_begin_with_the_next_period(self) -> None:
        who = subscriber(terms(fee("10")))
        who.take(decide_coupon(who.row, who.known, coupon(MIDDLE, percent="100"), at=MIDDLE))
        assert who.row.fees[0].discount == 0
        who.until(day("2026-05-01"))
        assert who.row.fees[0].discount == 10 * DOLLAR

    def test_make_a_prorated_charge_cheaper_and_no_invoice_does_it_again(self) -> None:
        catalog = Catalog()
        small, big = (catalog.add(terms(fee(price))) for price in ("10", "30"))
        who = Subscriber(catalog, small, START, coupons=(coupon(START, left=None, percent="50"),))
        made = who.change(big, MIDDLE, "invoice")
        assert amounts(made) == [("proration_credit", -250), ("proration_charge", 750)]
        assert not any(item.discountable for item in made.items)

    def test_are_redeemed_once(self) -> None:
        mine = coupon(START, percent="50")
        who = subscriber(terms(fee("10")), coupons=(mine,))
        who.row = replace(who.row, coupons=(replace(mine, until=None),))
        with pytest.raises(InvalidTransition):
            decide_coupon(who.row, who.known, mine, at=MIDDLE)

    def test_of_the_organization_are_taken_up_and_ended_ones_dropped(self) -> None:
        plan = terms(fee("10"))
        who = subscriber(plan, coupons=(coupon(START, left=None, percent="10"),))
        shared = coupon(START, left=None, percent="50")
        known = Known(plan, coupons=[shared])
        from billing.rules.subscriptions.boundaries import decide_boundary

        turn = decide_boundary(who.row, known)
        assert [one.id for one in turn.row.coupons] == [shared.id]
        assert turn.row.fees[0].discount == 5 * DOLLAR


class TestPauses:
    def paused(self, plan: Any) -> Subscriber:
        who = subscriber(plan)
        who.take(pausing.decide_pause(who.row, who.known, at=day("2026-04-11")))
        return who

    def test_blocked_days_are_credited_once(self) -> None:
        who = self.paused(terms(fee("30"), credit_blocked_time=True))
        first = who.take(pausing.decide_resume(who.row, who.known, at=day("2026-04-16")))
        who.take(pausing.decide_pause(who.row, who.known, at=day("2026-04-16")))
        second = who.take(pausing.decide_resume(who.row, who.known, at=day("2026-04-18")))
        assert first is not None and second is not None
        assert (amounts(first), amounts(second)) == (
            [("proration_credit", -500)],
            [("proration_credit", -200)],
        )

    def test_over_a_boundary_they_are_credited_up_to_it_and_the_next_period_is_free(self) -> None:
        who = self.paused(terms(fee("30"), credit_blocked_time=True))
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [("proration_credit", -2000)]
        resumed = who.take(pausing.decide_resume(who.row, who.known, at=day("2026-05-16")))
        assert resumed is not None
        ((kind, amount),) = amounts(resumed)
        assert (kind, amount) == ("proration_charge", 1548)  # 16 of 31 days

    def test_blocked_days_are_not_charged_in_arrears(self) -> None:
        who = self.paused(terms(fee("30", timing="arrears"), credit_blocked_time=True))
        assert who.take(pausing.decide_resume(who.row, who.known, at=day("2026-04-21"))) is not None
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [("proration_charge", 2000)]
        (whole,) = who.until(day("2026-06-01"))
        assert amounts(whole) == [("recurring", 3000)]

    def test_blocked_days_up_to_the_end_are_not_charged_in_arrears(self) -> None:
        plan = terms(fee("30", timing="arrears"), credit_blocked_time=True)
        (turn,) = self.paused(plan).until(day("2026-05-01"))
        assert amounts(turn) == [("proration_charge", 1000)]
        ended = self.paused(plan)
        gone = ended.take(decide_cancel_now(ended.row, ended.known, at=day("2026-04-21")))
        assert gone is not None and amounts(gone) == [("proration_charge", 1000)]

    def test_blocked_days_are_those_since_the_fee_began(self) -> None:
        catalog = Catalog()
        plans = [
            catalog.add(terms(fee(price, timing="arrears"), credit_blocked_time=True))
            for price in ("30", "60")
        ]
        who = Subscriber(catalog, plans[0], START)
        who.take(pausing.decide_pause(who.row, who.known, at=day("2026-04-02")))
        who.take(pausing.decide_resume(who.row, who.known, at=day("2026-04-07")))
        assert amounts(who.change(plans[1], MIDDLE)) == [("proration_charge", 1000)]
        (turn,) = who.until(day("2026-05-01"))
        assert amounts(turn) == [("proration_charge", 3000)]

    def test_without_the_option_nothing_is_credited(self) -> None:
        who = self.paused(terms(fee("30")))
        resumed = who.take(pausing.decide_resume(who.row, who.known, at=MIDDLE))
        assert resumed is not None and resumed.items == []

    def test_end_at_a_boundary_with_a_whole_new_period(self) -> None:
        who = subscriber(terms(fee("30")))
        who.take(pausing.decide_pause(who.row, who.known, at=MIDDLE, resumes_at=day("2026-05-01")))
        (turn,) = who.until(day("2026-05-01"))
        assert (turn.row.status, amounts(turn)) == ("active", [("recurring", 3000)])

    def test_a_cancellation_in_one_credits_the_blocked_days(self) -> None:
        who = self.paused(terms(fee("30"), credit_blocked_time=True))
        ended = who.take(decide_cancel_now(who.row, who.known, at=MIDDLE))
        assert ended is not None and amounts(ended) == [("proration_credit", -500)]


class TestOneMoment:
    def test_a_dated_change_at_the_end_of_a_period_is_made_with_the_next(self) -> None:
        catalog = Catalog()
        small, big = (catalog.add(terms(fee(price))) for price in ("10", "30"))
        who = Subscriber(catalog, small, START)
        end = who.row.period_end
        who.change(big, MIDDLE, "invoice", when=end)
        (turn,) = who.until(day("2026-05-01"))
        assert (turn.verb, amounts(turn)) == ("renewed", [("recurring", 3000)])

    def test_a_yearly_plan_that_waited_goes_on_from_the_boundary(self) -> None:
        catalog = Catalog()
        month, year = catalog.add(terms(fee("10"))), catalog.add(terms(fee("100"), interval=YEAR))
        who = Subscriber(catalog, month, day("2026-01-31"))
        who.change(year, day("2026-02-03"), "next_period")
        (turn,) = who.until(day("2026-02-28"))
        assert amounts(turn) == [("recurring", 10_000)]
        assert (who.row.period_start, who.row.period_end) == (day("2026-02-28"), day("2027-02-28"))
        assert who.row.anchor_day == 31

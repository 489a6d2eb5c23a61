"""Every edge of the state machine, and every pair that is none."""

from datetime import timedelta
from typing import Any

import pytest

from billing.rules.subscriptions import pausing
from billing.rules.subscriptions.changing import Change, decide_change
from billing.rules.subscriptions.ending import (
    decide_cancel_later,
    decide_cancel_now,
    decide_coupon,
    decide_uncancel,
)
from billing.rules.subscriptions.row import Ending
from billing.rules.subscriptions.states import FOLLOWERS, STATES, require_follower
from common.errors import InvalidField, InvalidTransition
from tests.builders.subscribed import Catalog, Subscriber, amounts, coupon, day, fee, terms

START = day("2024-03-01")
DAY = timedelta(days=1)
LATER = START + 10 * DAY


def subscriber(**given: Any) -> Subscriber:
    catalog = Catalog()
    return Subscriber(catalog, catalog.add(terms(fee("31"))), START, **given)


def in_state(status: str) -> Subscriber:
    """A subscriber in a state, reached by its own edges."""
    if status == "scheduled":
        return subscriber(starts_at=START + 20 * DAY)
    if status == "trialing":
        return subscriber(trial_days=14)
    if status == "expired":
        who = subscriber(ends_at=START + 5 * DAY)
        who.until(LATER)
        return who
    who = subscriber()
    decide = {
        "paused": pausing.decide_pause,
        "past_due": pausing.decide_past_due,
        "canceled": decide_cancel_now,
    }.get(status)
    if decide is not None:
        who.take(decide(who.row, who.known, at=START + DAY))  # type: ignore[operator]
    assert who.row.status == status
    return who


ACTS: dict[str, Any] = {
    "pause": lambda who: pausing.decide_pause(who.row, who.known, at=LATER),
    "resume": lambda who: pausing.decide_resume(who.row, who.known, at=LATER),
    "past_due": lambda who: pausing.decide_past_due(who.row, who.known, at=LATER),
    "recover": lambda who: pausing.decide_recover(who.row, who.known, at=LATER),
    "cancel": lambda who: decide_cancel_now(who.row, who.known, at=LATER),
    "uncancel": lambda who: decide_uncancel(who.row, who.known, at=LATER),
    "coupon": lambda who: decide_coupon(who.row, who.known, coupon(LATER, percent="10"), at=LATER),
}
LEADS = {
    ("scheduled", "cancel"): "canceled",
    ("trialing", "cancel"): "canceled",
    ("active", "pause"): "paused",
    ("active", "past_due"): "past_due",
    ("active", "recover"): "active",
    ("active", "cancel"): "canceled",
    ("past_due", "past_due"): "past_due",
    ("past_due", "recover"): "active",
    ("past_due", "cancel"): "canceled",
    ("paused", "resume"): "active",
    ("paused", "cancel"): "canceled",
    **{(status, "coupon"): status for status in ("scheduled", "trialing", "active", "past_due", "paused")},
}


class TestEdges:
    @pytest.mark.parametrize("act", sorted(ACTS))
    @pytest.mark.parametrize("status", STATES)
    def test_an_act_leads_to_its_state_or_is_refused(self, status: str, act: str) -> None:
        who = in_state(status)
        before = who.row
        if (status, act) not in LEADS:
            with pytest.raises(InvalidTransition):
                ACTS[act](who)
        else:
            who.take(ACTS[act](who))
            assert who.row.status == LEADS[status, act]
        assert who.row.id == before.id

    @pytest.mark.parametrize("new", STATES)
    @pytest.mark.parametrize("old", STATES)
    def test_only_followers_follow(self, old: str, new: str) -> None:
        if new in FOLLOWERS[old]:
            require_follower(old, new)
        else:
            with pytest.raises(InvalidTransition):
                require_follower(old, new)

    def test_time_leads_from_scheduled_over_the_trial_to_the_end(self) -> None:
        who = subscriber(starts_at=START + DAY, trial_days=7, ends_at=START + 60 * DAY)
        passed = who.until(START + 100 * DAY)
        assert [(one.verb, one.row.status) for one in passed] == [
            ("started", "trialing"),
            ("trial_ended", "active"),
            ("renewed", "active"),
            ("expired", "expired"),
        ]

    def test_a_trial_can_end_in_cancellation_and_in_expiry(self) -> None:
        who = subscriber(trial_days=7)
        who.take(decide_cancel_later(who.row, who.known, Ending(None), at=START + DAY))
        (ended,) = who.until(START + 30 * DAY)
        assert (ended.verb, ended.at, ended.items) == ("canceled", START + 7 * DAY, [])
        short = subscriber(trial_days=7, ends_at=START + 3 * DAY)
        assert [one.verb for one in short.until(LATER)] == ["expired"]

    def test_what_ended_has_no_boundary(self) -> None:
        assert in_state("canceled").row.next_at is None
        assert in_state("expired").row.next_at is None


class TestChangesByState:
    def wanted(self, who: Subscriber, mode: str | None = None, **given: Any) -> Change:
        target = who.catalog.add(terms(fee("62"), trial_days=30))
        return Change(target, who.catalog.of(target), mode, **given)

    @pytest.mark.parametrize("status", ["scheduled", "trialing"])
    def test_before_the_first_period_it_costs_nothing(self, status: str) -> None:
        who = in_state(status)
        made = who.take(decide_change(who.row, self.wanted(who), who.known, at=START + DAY))
        assert made is not None and (made.verb, made.items) == ("changed", [])
        after = [one for one in who.until(START + 50 * DAY) if one.items]
        assert amounts(after[0]) == [("recurring", 6200)]

    @pytest.mark.parametrize("status", ["active", "past_due"])
    def test_in_a_paid_period_it_is_prorated(self, status: str) -> None:
        who = in_state(status)
        made = who.take(decide_change(who.row, self.wanted(who), who.known, at=LATER))
        assert made is not None
        assert amounts(made) == [("proration_credit", -2100), ("proration_charge", 4200)]
        assert made.row.status == status

    def test_in_a_pause_it_waits_for_the_next_period_or_is_refused(self) -> None:
        who = in_state("paused")
        with pytest.raises(InvalidTransition):
            decide_change(who.row, self.wanted(who), who.known, at=LATER)
        who.take(decide_change(who.row, self.wanted(who, "next_period"), who.known, at=LATER))
        passed = who.until(day("2024-04-01"))
        assert [(one.verb, one.items, one.row.pending) for one in passed] == [("renewed", [], None)]

    def test_at_a_date_in_a_pause_it_is_deferred(self) -> None:
        who = in_state("active")
        who.take(decide_change(who.row, self.wanted(who, at=LATER), who.known, at=START))
        who.take(pausing.decide_pause(who.row, who.known, at=START + DAY))
        (deferred,) = who.until(LATER)
        assert (deferred.verb, deferred.row.change_at) == ("change_deferred", who.row.period_end)

    @pytest.mark.parametrize("status", ["canceled", "expired"])
    def test_after_the_end_it_is_refused(self, status: str) -> None:
        who = in_state(status)
        with pytest.raises(InvalidTransition):
            decide_change(who.row, self.wanted(who), who.known, at=LATER)

    def test_a_dated_one_is_not_for_the_next_period(self) -> None:
        who = in_state("active")
        with pytest.raises(InvalidField):
            decide_change(who.row, self.wanted(who, "next_period", at=LATER), who.known, at=START)

    def test_a_reset_begins_a_new_period_and_credits_nothing(self) -> None:
        who = in_state("active")
        made = who.take(decide_change(who.row, self.wanted(who, "reset"), who.known, at=LATER))
        assert made is not None and amounts(made) == [("recurring", 6200)]
        assert (who.row.period_start, who.row.period_end) == (LATER, day("2024-04-11"))

    def test_prorate_is_due_with_the_next_period(self) -> None:
        who = in_state("active")
        made = who.take(decide_change(who.row, self.wanted(who, "prorate"), who.known, at=LATER))
        assert made is not None
        assert {item.due_at for item in made.items} == {day("2024-04-01")}

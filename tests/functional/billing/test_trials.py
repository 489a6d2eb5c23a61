"""Trials through the API: each plan is tried once by an organization, and another plan brings its own trial or none."""

from datetime import timedelta
from typing import Any

from tests.builders.books import open_books
from tests.builders.orgs import events_of
from tests.builders.subscribed import fee
from tests.builders.subscriptions import (
    PATH,
    acted,
    items_of,
    move_clock,
    now_of,
    owner,
    run_boundaries,
    sell,
    shown,
    subscribe,
)
from tests.invariants import assert_sound

DAY = timedelta(days=1)
AT_ONCE: dict[str, Any] = {"upgrade": "invoice", "downgrade": "invoice"}


class TestChangingInATrial:
    def test_to_a_plan_that_has_none_ends_the_trial_and_owes_the_first_period(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("9"), trial_days=14, **AT_ONCE))
        move_clock(organization, DAY)
        dear = sell(fee("1999"), credits=[{"amounts": {"USD": "1000"}}])
        before = events_of(organization)
        preview = who.post(f"{PATH}/{made['id']}/change/preview", {"plan": dear.plan_key}).json()
        assert [item["amount"] for item in preview["items"]] == ["1999"]
        assert events_of(organization) == before
        changed = acted(who, made, "change", {"plan": dear.plan_key})
        assert (changed["status"], changed["trial_end"]) == ("active", changed["period_start"])
        assert items_of(organization) == [("recurring", 199_900, "base")]
        assert [one["amount"] for one in changed["credits"]] == ["1000"]
        assert_sound(organization)

    def test_to_one_with_a_shorter_trial_ends_when_that_would_have(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(trial_days=14, **AT_ONCE))
        shorter, longer = sell(trial_days=7, **AT_ONCE), sell(trial_days=90)
        ends = [made["trial_end"]]
        for plan in (shorter, longer):
            changed = acted(who, made, "change", {"plan": plan.plan_key})
            assert (changed["status"], changed["period_end"]) == ("trialing", changed["trial_end"])
            ends.append(changed["trial_end"])
        assert ends[1] < ends[0] and ends[2] == ends[1]
        move_clock(organization, 7 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["status"] == "active"
        assert items_of(organization) == [("recurring", 3000, "base")]

    def test_at_a_date_does_so_then(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(trial_days=14, **AT_ONCE))
        at = (now_of(organization) + 3 * DAY).replace(microsecond=0).isoformat()
        acted(who, made, "change", {"plan": sell(fee("90")).plan_key, "at": at})
        move_clock(organization, 4 * DAY)
        run_boundaries(organization)
        after = shown(who, made)
        assert (after["status"], after["period_start"]) == ("active", at.replace("+00:00", "Z"))
        assert items_of(organization) == [("recurring", 9000, "base")]

    def test_to_a_plan_that_was_tried_before_ends_the_trial(self) -> None:
        organization = open_books()
        who = owner(organization)
        tried = sell(fee("90"), trial_days=14)
        acted(who, subscribe(who, tried), "cancel", {"when": "now"})
        made = subscribe(who, sell(trial_days=14, **AT_ONCE))
        assert acted(who, made, "change", {"plan": tried.plan_key})["status"] == "active"
        assert items_of(organization) == [("recurring", 9000, "base")]

    def test_before_the_start_takes_the_trial_of_the_new_plan(self) -> None:
        organization = open_books()
        who = owner(organization)
        at = (now_of(organization) + DAY).replace(microsecond=0).isoformat()
        made = subscribe(who, sell(trial_days=14), start_at=at)
        acted(who, made, "change", {"plan": sell(fee("90")).plan_key})
        move_clock(organization, 2 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["status"] == "active"
        assert items_of(organization) == [("recurring", 9000, "base")]


class TestAPlanThatWasTried:
    def test_is_not_tried_again_after_the_subscription_was_changed_to_another(self) -> None:
        organization = open_books()
        who = owner(organization)
        first, other = sell(trial_days=14, **AT_ONCE), sell(trial_days=14)
        made = subscribe(who, first)
        acted(who, made, "change", {"plan": other.plan_key})
        acted(who, made, "cancel", {"when": "now"})
        assert [subscribe(who, plan)["status"] for plan in (first, other)] == ["active", "active"]

    def test_is_none_that_was_only_paid_for(self) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("90"), trial_days=14)
        made = subscribe(who, sell(trial_days=14, **AT_ONCE))
        move_clock(organization, 15 * DAY)
        acted(who, made, "change", {"plan": plan.plan_key})
        acted(who, made, "cancel", {"when": "now"})
        assert subscribe(who, plan)["status"] == "trialing"

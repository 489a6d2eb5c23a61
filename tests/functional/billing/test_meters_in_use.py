"""Meters that plans need: they are there, are counted once, and stay while a plan is sold by them."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders.billing import billed, moving
from tests.builders.catalog import catalog_events, make_draft, make_version
from tests.builders.counted import charge, counts, metered_lines
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import make_organization, platform, unique
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import act, acted, now_of, owner, sell, subscribe

SECOND = timedelta(seconds=1)


def problem(answer: Any) -> tuple[int, str, list[str]]:
    found = answer.json()
    return answer.status_code, found["code"], [error["pointer"] for error in found.get("errors", ())]


def publish(*charges: dict[str, Any]) -> Any:
    """The answer to publishing a plan with these charges, and its events."""
    draft = make_draft(charges=list(charges), credits=[])
    before = catalog_events()
    answer = platform().post(f"/v1/plans/{draft.plan_key}/versions/1/publish", key=unique())
    return answer, catalog_events() == before


class TestPublishing:
    def test_a_plan_whose_meter_nobody_made_is_refused(self) -> None:
        answer, is_still = publish(fee("5"), metered("use", meter="nobody-made-it"))
        assert problem(answer) == (422, "meter_unusable", ["/charges/1/meter"])
        assert is_still

    def test_names_every_mistake_at_once(self) -> None:
        meter = make_meter("count", group_by=("region",))
        answer, is_still = publish(
            metered("first", meter=meter.key, group_by=["mood"]),
            metered("second", meter=meter.key),
            metered("third", meter="no-such-meter"),
        )
        pointers = ["/charges/0/group_by", "/charges/1/meter", "/charges/2/meter"]
        assert problem(answer) == (422, "meter_unusable", pointers)
        assert is_still

    def test_is_refused_by_an_archived_meter(self) -> None:
        meter = make_meter("count")
        assert platform().post(f"/v1/meters/{meter.key}/archive", key=unique()).status_code == 200
        answer, is_still = publish(metered("use", meter=meter.key))
        assert problem(answer) == (422, "meter_unusable", ["/charges/0/meter"])
        assert is_still

    def test_is_refused_of_a_percentage_that_prices_each_event(self) -> None:
        meter = make_meter("sum")
        price = {
            "model": "percentage", "rate": "2", "fixed": "0.3", "event_minimum": "1", "event_maximum": "9",
            "free_events": 1,
        }  # fmt: skip
        answer, is_still = publish(metered("share", meter=meter.key, prices={"USD": price}))
        names = ("fixed", "event_minimum", "event_maximum", "free_events")
        assert problem(answer) == (
            422, "meter_unusable", [f"/charges/0/prices/USD/{name}" for name in names],
        )  # fmt: skip
        assert is_still

    def test_is_done_of_a_percentage_of_the_periods_sum(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        price = {"model": "percentage", "rate": "2", "free_volume": "10"}
        charged = metered("share", meter=meter.key, prices={"USD": price})
        answer, _ = publish(charged)
        assert answer.status_code == 200, answer.content
        subscribe(who, answer.json()["plan"])
        for units in ("30", "80"):
            made.customer.pass_time(minutes=1)
            event = new_event(meter.definition.event_type or "", now_of(made.id) - SECOND, {"units": units})
            record(made.id, event)
        made.pass_months()
        made.run()
        assert made.only()["total"] == "2.00"
        made.assert_sound()

    def test_is_done_once_the_meter_is_there(self) -> None:
        key = unique("late-meter")
        draft = make_draft(charges=[metered("use", meter=key)], credits=[])
        path = f"/v1/plans/{draft.plan_key}/versions/1/publish"
        assert platform().post(path, key=unique()).status_code == 422
        make_meter("count", key=key)
        assert platform().post(path, key=unique()).status_code == 200


class TestArchivingAMeter:
    def test_is_refused_while_a_plan_on_sale_counts_by_it(self) -> None:
        meter = make_meter("count")
        plan = sell(metered("use", meter=meter.key))
        before = catalog_events()
        answer = platform().post(f"/v1/meters/{meter.key}/archive", key=unique())
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
        assert plan.plan_key in answer.json()["detail"]
        assert catalog_events() == before

    def test_is_done_when_the_next_version_names_another(self) -> None:
        meter, other = make_meter("count"), make_meter("count")
        plan = sell(metered("use", meter=meter.key))
        make_version(plan.plan_key, charges=[metered("use", meter=other.key)], credits=[])
        assert platform().post(f"/v1/meters/{meter.key}/archive", key=unique()).status_code == 200


class TestAMeterThatIsCounted:
    def test_is_refused_to_a_second_subscription(self) -> None:
        made, meter = billed(), make_meter("count")
        who = owner(made.id)
        first = subscribe(who, sell(metered("use", meter=meter.key)))
        other = sell(fee("5"), metered("more", meter=meter.key))
        with made.still():
            answer = who.post("/v1/subscriptions", {"plan": other.plan_key}, key=unique())
            assert problem(answer)[:2] == (409, "meter_in_use")
            assert first["id"] in answer.json()["detail"]
        acted(who, first, "cancel", {"when": "now"})
        assert subscribe(who, other)["status"] == "active"

    def test_is_refused_to_a_change_and_to_one_that_waits(self) -> None:
        made, meter = billed(), make_meter("count")
        who = owner(made.id)
        counting = sell(metered("use", meter=meter.key))
        subscribe(who, counting)
        other = subscribe(who, sell(fee("5")))
        for mode in ("invoice", "next_period"):
            with made.still():
                answer = act(platform(), other, "change", {"plan": counting.plan_key, "mode": mode})
                assert problem(answer)[:2] == (409, "meter_in_use")

    def test_is_refused_to_an_add_on(self) -> None:
        made, meter = billed(), make_meter("count")
        who = owner(made.id)
        plan = sell(
            fee("5"),
            metered("one", meter=meter.key, addon=True),
            metered("two", meter=meter.key, addon=True),
        )
        sub = subscribe(who, plan, add_ons=["one"])
        before = moving(made.id)
        answer = act(who, sub, "add-ons", {"add": ["two"]})
        assert problem(answer) == (409, "meter_in_use", ["/add_ons"])
        assert moving(made.id) == before
        assert acted(who, sub, "add-ons", {"add": ["two"], "remove": ["one"]})["add_ons"] == ["two"]

    def test_is_free_when_the_one_ends_before_the_other_begins(self) -> None:
        made, meter = billed(), make_meter("count")
        who = owner(made.id)
        first = subscribe(who, sell(metered("use", meter=meter.key)))
        acted(who, first, "cancel", {"when": "period_end"})
        other = sell(metered("more", meter=meter.key))
        later = subscribe(who, other, start_at=first["period_end"])
        assert later["status"] == "scheduled"
        with made.still():
            answer = act(who, first, "uncancel")
            assert problem(answer)[:2] == (409, "meter_in_use")

    @pytest.mark.parametrize("count", [2])
    def test_is_counted_by_each_organization_for_itself(self, count: int) -> None:
        plan = sell(metered("use", meter=make_meter("count").key))
        for _ in range(count):
            assert subscribe(owner(make_organization()), plan)["status"] == "active"


class TestClosingAnOrganization:
    def close(self, organization: Any) -> None:
        answer = platform().post(f"/v1/organizations/{organization}/archive", key=unique())
        assert answer.status_code == 200, answer.content

    def test_ends_its_subscriptions_and_bills_what_was_used(self) -> None:
        made, meter = billed(), make_meter("sum")
        who = owner(made.id)
        sub = subscribe(who, sell(charge(meter)))
        later = subscribe(who, sell(fee("5")), start_at="2199-01-01T00:00:00Z")
        counts(made, meter, "30")
        self.close(made.id)
        states = [made.reader.get(f"/v1/subscriptions/{one['id']}").json()["status"] for one in (sub, later)]
        assert states == ["canceled", "canceled"]
        made.run()
        assert metered_lines(made) == ["20.00"]
        made.pass_months()
        made.run()
        assert metered_lines(made) == ["20.00"]
        made.assert_sound()

    def test_once_more_changes_nothing(self) -> None:
        made = billed()
        subscribe(owner(made.id), sell(fee("5")))
        self.close(made.id)
        with made.still():
            self.close(made.id)

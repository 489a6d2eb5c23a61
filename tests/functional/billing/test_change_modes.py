"""How a change is made: as the seller's plan says, or in a way in which the customer gets back less or later."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders.billing import billed
from tests.builders.books import open_books
from tests.builders.orgs import events_of, platform
from tests.builders.subscribed import fee, seats
from tests.builders.subscriptions import (
    act,
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

DAY = timedelta(days=1)
YEARLY: dict[str, Any] = {"interval": {"unit": "year", "count": 1}}
MODES = ("prorate", "invoice", "next_period", "reset")


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestACustomer:
    @pytest.mark.parametrize(
        ("way", "price", "planned", "allowed"),
        [
            ("upgrade", "90", "prorate", {"prorate", "invoice", "next_period", "reset"}),
            ("upgrade", "90", "invoice", {"invoice", "next_period", "reset"}),
            ("upgrade", "90", "next_period", {"next_period", "reset"}),
            ("upgrade", "90", "reset", {"reset"}),
            ("downgrade", "9", "invoice", {"prorate", "invoice", "next_period", "reset"}),
            ("downgrade", "9", "prorate", {"prorate", "next_period", "reset"}),
            ("downgrade", "9", "next_period", {"next_period", "reset"}),
            ("downgrade", "9", "reset", {"reset"}),
        ],
    )
    def test_chooses_the_plans_mode_or_one_that_gives_it_less(
        self, way: str, price: str, planned: str, allowed: set[str]
    ) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30"), **{way: planned}))
        move_clock(organization, DAY)
        plan = sell(fee(price)).plan_key
        for mode in MODES:
            body = {"plan": plan, "mode": mode}
            previewed = who.post(f"/v1/subscriptions/{made['id']}/change/preview", body)
            assert (previewed.status_code == 200) == (mode in allowed), previewed.content
            if mode not in allowed:
                before = events_of(organization)
                assert problem(act(who, made, "change", body)) == (403, "forbidden", ["/mode"])
                assert (events_of(organization), shown(who, made)) == (before, made)

    def test_gets_no_credit_by_naming_a_date_where_the_plan_waits_for_the_period(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        at = (now_of(organization) + DAY).replace(microsecond=0).isoformat()
        before = events_of(organization)
        free = sell(fee("0")).plan_key
        assert problem(act(who, made, "change", {"plan": free, "at": at})) == (403, "forbidden", ["/at"])
        assert events_of(organization) == before

    def test_leaves_a_year_for_a_dearer_month_when_it_is_over(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("1200"), **YEARLY))
        move_clock(organization, DAY)
        month = sell(fee("120")).plan_key
        before = events_of(organization)
        for given in ({"mode": "prorate"}, {"mode": "invoice"}):
            answer = act(who, made, "change", {"plan": month, **given})
            assert problem(answer) == (403, "forbidden", ["/mode"])
        at = (now_of(organization) + DAY).replace(microsecond=0).isoformat()
        dated = act(who, made, "change", {"plan": month, "at": at})
        assert problem(dated) == (403, "forbidden", ["/at"])
        assert (events_of(organization), shown(who, made)) == (before, made)
        waiting = acted(who, made, "change", {"plan": month})
        assert waiting["pending_change"]["mode"] == "next_period"
        assert [kind for kind, _, _ in items_of(organization)] == ["recurring"]
        move_clock(organization, 366 * DAY)
        run_boundaries(organization)
        assert items_of(organization) == [("recurring", 120_000, "base"), ("recurring", 12_000, "base")]

    def test_leaves_a_month_for_four_weeks_when_it_is_over(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("100")))
        weeks = sell(fee("100"), interval={"unit": "week", "count": 4}).plan_key
        assert acted(who, made, "change", {"plan": weeks})["pending_change"]["mode"] == "next_period"
        longer = sell(fee("200"), interval={"unit": "week", "count": 5}).plan_key
        assert acted(who, made, "change", {"plan": longer})["pending_change"] is None

    def test_is_bound_with_quantities_and_add_ons_too(self) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("30"), seats("10"), fee("5", "sso", addon=True))
        made = subscribe(who, plan, quantities={"seats": 5}, add_ons=["sso"])
        before = events_of(organization)
        fewer = act(who, made, "quantity", {"quantities": {"seats": 1}, "mode": "prorate"})
        assert problem(fewer) == (403, "forbidden", ["/mode"])
        without = act(who, made, "add-ons", {"remove": ["sso"], "mode": "invoice"})
        assert problem(without) == (403, "forbidden", ["/mode"])
        assert (events_of(organization), shown(who, made)) == (before, made)


def test_the_platform_changes_otherwise_than_the_plan_says() -> None:
    organization = open_books()
    who = owner(organization)
    made = subscribe(who, sell(fee("30")))
    move_clock(organization, DAY)
    body = {"plan": sell(fee("0")).plan_key, "mode": "invoice"}
    answer = act(platform(), made, "change", body)
    assert answer.status_code == 200, answer.content
    assert [kind for kind, _, _ in items_of(organization)] == ["recurring", "proration_credit"]


def test_the_platform_leaves_a_year_for_a_dearer_month_at_once() -> None:
    organization = open_books()
    made = subscribe(owner(organization), sell(fee("1200"), **YEARLY))
    move_clock(organization, DAY)
    answer = act(platform(), made, "change", {"plan": sell(fee("120")).plan_key})
    assert answer.status_code == 200, answer.content
    kinds = [kind for kind, _, _ in items_of(organization)]
    assert kinds == ["recurring", "proration_credit", "recurring"]


class TestProrating:
    def test_a_yearly_plan_is_on_the_customers_next_invoice(self) -> None:
        made = billed()
        who = owner(made.id)
        sub = subscribe(who, sell(fee("1200"), **YEARLY))
        made.run()
        made.customer.pass_time(days=1)
        acted(who, sub, "change", {"plan": sell(fee("2400"), **YEARLY).plan_key})
        made.run()
        assert len(made.invoices()) == 1
        made.pass_months()
        made.run()
        _, second = made.invoices()
        assert float(second["total"]) == pytest.approx(1200, abs=5)
        made.assert_sound()

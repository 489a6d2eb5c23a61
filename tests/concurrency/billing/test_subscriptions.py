"""Many callers change one subscription at once: one after the other, each on what the last one left."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from billing.operations.subscriptions.advance import advance
from billing.operations.subscriptions.changing import QuantityChange, change_subscription
from billing.queries.subscriptions import find_subscription
from common.errors import ServiceUnavailable
from orgs.operations.locks import lock_organization
from tests.builders.books import open_books
from tests.builders.orgs import AUTHOR, events_of, write
from tests.builders.subscribed import CENT, fee, seats
from tests.builders.subscriptions import (
    PATH,
    acted,
    items_of,
    move_clock,
    owner,
    sell,
    shown,
    subscribe,
)
from tests.concurrency.orgs.test_same_key import at_once

CALLERS = 16
DAY = timedelta(days=1)


def insist(call: Callable[[], Any]) -> Any:
    """What a call gives in the end: one that waited too long for the lock is made again, as its answer says."""
    while True:
        try:
            found = call()
        except ServiceUnavailable:
            continue
        if getattr(found, "status_code", 200) < 400 or not found.json()["retryable"]:
            return found


class TestChangingOneSubscription:
    def test_each_credits_what_the_one_before_it_charged(self) -> None:
        organization = open_books()
        made = subscribe(
            owner(organization), sell(fee("30"), seats("10"), upgrade="invoice", downgrade="invoice")
        )
        subscription = UUID(made["id"])
        move_clock(organization, 5 * DAY)

        def change(place: int) -> None:
            wanted = QuantityChange({"seats": Fraction(place + 2)}, mode="invoice")
            insist(
                lambda: write(
                    lambda cur: change_subscription(cur, organization, subscription, wanted, author=AUTHOR)
                )
            )

        at_once(change, callers=CALLERS)
        events = [event for event in events_of(organization) if event[0].startswith("subscription.")]
        assert [event[2] for event in events] == list(range(1, CALLERS + 2))
        kinds = Counter(kind for kind, _, charge in items_of(organization) if charge == "seats")
        assert kinds == {"licensed": 1, "proration_credit": CALLERS, "proration_charge": CALLERS}
        # every credit takes back an item of its own: the one that the change before it made
        taken = [item["credits"] for event in events for item in event[4].get("items", ()) if item["credits"]]
        assert len(taken) == len(set(taken)) == CALLERS
        row = write(lambda cur: find_subscription(cur, organization=organization, subscription=subscription))
        seat = next(one for one in row.fees if one.charge == "seats")
        assert seat.quantity == row.selection.quantities["seats"]
        newest = [amount for kind, amount, charge in items_of(organization) if charge == "seats"][-1]
        assert seat.billed == newest * CENT

    def test_one_change_waits_at_most(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("90")))
        plans = [sell(fee(str(price))) for price in range(10, 10 + CALLERS)]
        answers = at_once(
            lambda place: insist(
                lambda: who.post(
                    f"{PATH}/{made['id']}/change", {"plan": plans[place].plan_key}, key=f"change-{place}"
                )
            ),
            callers=CALLERS,
        )
        assert {answer.status_code for answer in answers} == {200}
        waiting = shown(who, made)["pending_change"]["plan"]
        assert waiting in {plan.plan_key for plan in plans}
        assert len(items_of(organization)) == 1

    def test_under_one_key_is_made_once(self) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("49"), credits=[{"amounts": {"USD": "20"}}])
        answers = at_once(
            lambda _: insist(lambda: who.post(PATH, {"plan": plan.plan_key}, key="once")), callers=CALLERS
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert len(items_of(organization)) == 1

    def test_ends_once_and_every_other_caller_is_told_so(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("49")))
        answers = at_once(
            lambda place: insist(
                lambda: who.post(f"{PATH}/{made['id']}/cancel", {"when": "now"}, key=f"c-{place}")
            ),
            callers=CALLERS,
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: CALLERS - 1}


class TestPassingBoundaries:
    def test_by_many_runs_at_once_bills_each_period_once(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30"), credits=[{"amounts": {"USD": "5"}}]))
        move_clock(organization, 200 * DAY)

        def run(_: int) -> None:
            def operation(cur: Any) -> None:
                locked = lock_organization(cur, organization)
                advance(cur, locked, until=locked.now)

            insist(lambda: write(operation))

        at_once(run, callers=8)
        starts = [
            item["service_start"] for event in events_of(organization) for item in event[4].get("items", ())
        ]
        assert len(starts) == len(set(starts)) == 7
        assert shown(who, made)["status"] == "active"

    def test_while_customers_change_it_neither_loses_nor_doubles(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30"), seats("10"), upgrade="invoice"))
        move_clock(organization, 100 * DAY)
        acted(who, made, "quantity", {"quantities": {"seats": 3}})
        assert [kind for kind, _, charge in items_of(organization) if charge == "base"] == ["recurring"] * 4

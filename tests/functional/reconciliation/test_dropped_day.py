"""A day whose events never came ends in the state of a day on which all of them did (S88): every projection."""

from __future__ import annotations

import os

from orgs import PLATFORM_ID
from tests.builders.deliveries import post
from tests.builders.processor import header, whole_state
from tests.builders.reconciling import AT_STRIPE, Day
from tests.concurrency.webhooks.storm import LIVES, story
from tests.invariants import Still, assert_sound
from webhooks.operations.inbound.processing import process_due

CUSTOMERS = int(os.environ.get("RECONCILIATION_CUSTOMERS", "2"))
ALL = ("catch_up", "commands", "partner_payouts", *AT_STRIPE)


def test_a_day_without_webhooks_comes_to_the_state_of_a_day_with_all_of_them(day: Day) -> None:
    (tidy,), bodies = story(day.simulator, 1, len(LIVES))
    for body in bodies:
        assert post(body, header(body)).status_code == 200
        process_due()
    day.simulator.advance(86_400)
    day.run(*ALL)
    expected = whole_state(tidy.organization)
    assert len(expected["payments"]) >= len(LIVES)

    dropped, bodies = story(day.simulator, CUSTOMERS, len(LIVES))
    assert len(bodies) > CUSTOMERS * len(LIVES)
    day.simulator.advance(86_400)
    day.run(*ALL)
    while process_due():
        pass
    run = day.run(*ALL, "projections")
    for customer in dropped:
        state = whole_state(customer.organization)
        assert {name: each for name, each in state.items() if each != expected.get(name)} == {
            name: expected[name] for name in expected if expected[name] != state.get(name)
        }
        assert state == expected
    assert day.moved()[0] == day.moved()[1]
    assert day.by_class("open") == {}
    assert run.done["projections"]["compared"] > 0
    assert run.done["projections"]["open"] == 0
    assert_sound(PLATFORM_ID, tidy.organization, *(each.organization for each in dropped))
    known = day.by_class()
    with Still(dropped[0].organization):
        day.run(*ALL)
    assert day.by_class() == known

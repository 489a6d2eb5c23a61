"""Stripe's events, ten times each in random order by sixteen senders, workers killed meanwhile (W1, W2, F9)."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.builders.processor import state
from tests.builders.stripe import Simulator
from tests.concurrency.webhooks.storm import Workers, open_events, story, tell_in_a_storm, tell_in_order
from tests.invariants import assert_sound
from webhooks.operations.inbound.processing import process_due

CUSTOMERS = int(os.environ.get("STORM_CUSTOMERS", "3"))
PAYMENTS = int(os.environ.get("STORM_PAYMENTS", "5"))
KILLS = int(os.environ.get("STORM_KILLS", "6"))
TIMES = 10


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**9))
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def workers(stripe_simulator: Simulator, chance: random.Random) -> Iterator[Workers]:
    while open_events() and process_due():
        pass
    made = Workers(chance)
    yield made
    made.end()


def test_a_storm_comes_to_the_same_state_as_the_tidy_order(
    web: str, stripe_simulator: Simulator, workers: Workers, chance: random.Random
) -> None:
    (tidy,), in_order = story(stripe_simulator, 1, PAYMENTS)
    tell_in_order(web, in_order)
    expected = state(tidy.organization)
    assert len(expected["payments"]) >= PAYMENTS

    customers, bodies = story(stripe_simulator, CUSTOMERS, PAYMENTS)
    workers.kill_for(kills=KILLS, pause=0.7)
    answers = tell_in_a_storm(web, bodies, times=TIMES, chance=chance)
    assert answers == [200] * (len(bodies) * TIMES)
    workers.finish(seconds=40 + len(bodies) / 4)
    assert workers.kills == KILLS
    assert [state(who.organization) for who in customers] == [expected] * CUSTOMERS
    assert_sound(tidy.organization, *(who.organization for who in customers))

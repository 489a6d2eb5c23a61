"""Marks of thresholds and attempts: what has fired, was approved or was tried, where it is not the plain case."""

from typing import Any

from spend.rules.budgets import Threshold
from tests.builders.controls import approvals_waiting, approve
from tests.builders.gate import Customer, make_customer
from tests.invariants import assert_sound, reading


def crossed(customer: Customer) -> list[tuple[int, str]]:
    """Percent and action of the thresholds that have fired, in order."""
    with reading() as connection:
        rows: list[Any] = connection.execute(
            "SELECT data->'percent', data->>'action' FROM v_events WHERE organization = %s "
            "AND type = 'threshold.crossed' ORDER BY seq",
            (customer.id,),
        ).fetchall()
    return rows


def test_a_second_level_that_blocks_still_fires_when_the_first_has_refused() -> None:
    customer = make_customer("100")
    customer.budget("10", thresholds=(Threshold("block", 70), Threshold("block", 100)))
    held = customer.reserved("5")["id"]
    customer.commit(held, "5")
    assert customer.reserve("4").status_code == 402
    assert crossed(customer) == [(70, "block")]
    customer.commit(customer.reserved("1")["id"], "9")
    assert crossed(customer) == [(70, "block"), (100, "block")]


def test_a_higher_approval_outlasts_a_lower_one_that_is_given_later() -> None:
    customer = make_customer("100")
    levels = (Threshold("require_approval", 50), Threshold("require_approval", 80), Threshold("block", 100))
    customer.budget("10", thresholds=levels)
    customer.reserved("8.5")
    assert customer.reserve("1").json()["code"] == "approval_required"
    with reading() as connection:
        lower, higher = approvals_waiting(customer, connection)
    approve(customer, higher)
    approve(customer, lower)
    assert customer.reserve("1").status_code == 201


def test_a_rolling_budget_tells_again_when_what_it_told_has_left_the_window() -> None:
    customer = make_customer("100")
    levels = (Threshold("notify", 80), Threshold("block", 100))
    customer.budget("10", window="rolling", rolling_seconds=3_600, thresholds=levels)
    customer.commit(customer.reserved("5")["id"], "5")
    assert customer.reserve("6").status_code == 402
    customer.pass_time(minutes=30)
    customer.commit(customer.reserved("4")["id"], "4")
    customer.pass_time(minutes=32)
    for _ in range(2):
        assert customer.reserve("7").status_code == 402
    assert crossed(customer) == [(100, "block"), (80, "notify"), (100, "block")]


def test_a_late_commit_into_a_part_that_has_left_a_rolling_window_fires_nothing() -> None:
    customer = make_customer("100")
    levels = (Threshold("notify", 10),)
    customer.budget("10", window="rolling", rolling_seconds=600, thresholds=levels)
    held = customer.reserved("1", ttl_seconds=60)["id"]
    customer.pass_time(minutes=5)
    customer.commit(customer.reserved("5")["id"], "5")
    customer.pass_time(minutes=6)  # the mark has left, 5 of 10 are still there
    assert customer.commit(held, "9").json()["late"]
    assert crossed(customer) == [(10, "notify")]
    customer.reserved("1")
    assert crossed(customer) == [(10, "notify"), (10, "notify")]
    customer.reserved("1")
    assert crossed(customer) == [(10, "notify"), (10, "notify")]
    assert_sound(customer.id)


def test_a_refused_attempt_is_none_that_the_next_one_has_to_wait_for() -> None:
    customer = make_customer("100")
    step = {"run": "r", "step": 1}
    assert customer.reserve("1", subject={**step, "attempt": 9}).json()["code"] == "attempts_exceeded"
    assert customer.reserve("1", subject={**step, "attempt": 2}).status_code == 201
    assert customer.reserve("1", subject={**step, "attempt": 3}).json()["code"] == "backoff_required"


def test_a_first_attempt_gives_no_attempts_back() -> None:
    customer = make_customer("100")
    step = {"run": "r", "step": 1}
    for attempt in (1, 2, 3, 4, 5):
        customer.reserved("1", subject={**step, "attempt": attempt})
        customer.pass_time(minutes=2)
    customer.reserved("1", subject={**step, "attempt": 1})
    customer.pass_time(minutes=2)
    assert customer.reserve("1", subject={**step, "attempt": 2}).json()["code"] == "attempts_exceeded"

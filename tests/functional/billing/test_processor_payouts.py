"""The platform's own money: from the processor's balance to the bank, in the platform's books, and back if it fails."""

from dataclasses import replace

from billing.queries.paymentintegrity import violations
from billing.rules.payments.views import Failure
from orgs import PLATFORM_ID
from tests.builders.books import balances, rows
from tests.builders.gate import UNIT
from tests.builders.orgs import write
from tests.builders.payments import apply, balance, payout
from tests.invariants import assert_sound

BOOKS = ("processor_clearing", "payout_in_transit", "cash", "processor_fees")


def held() -> list[int]:
    """The platform's books in dollars, in units."""
    found = balances(PLATFORM_ID)
    return [found.get(kind, 0) for kind in BOOKS]


def moved(before: list[int]) -> list[int]:
    """How they changed, in dollars."""
    return [(now - was) // UNIT for now, was in zip(held(), before, strict=True)]


def test_a_payout_leaves_the_processor_is_on_its_way_and_arrives() -> None:
    one, before = payout(90 * UNIT), held()
    assert apply(one).outcome == "applied"
    assert moved(before) == [90, -90, 0, 0]
    assert apply(replace(one, status="in_transit")).outcome == "applied"
    assert apply(one).outcome == "unchanged"
    assert moved(before) == [90, -90, 0, 0]
    assert apply(replace(one, status="paid")).outcome == "applied"
    for late in (one, replace(one, status="in_transit"), replace(one, status="paid")):
        assert apply(late).outcome == "unchanged"
    assert moved(before) == [90, 0, -90, 0]
    assert_sound(PLATFORM_ID)


def test_paid_is_not_final_and_what_failed_comes_back() -> None:
    one, before = payout(90 * UNIT, "paid"), held()
    apply(one)
    assert moved(before) == [90, 0, -90, 0]
    failed = replace(one, status="failed", failure=Failure("no_account"))
    assert apply(failed).outcome == "applied"
    assert moved(before) == [0, 0, 0, 0]
    assert apply(one).outcome == "unchanged"
    assert moved(before) == [0, 0, 0, 0]
    keys = rows("SELECT effect_key FROM effects WHERE source = %s ORDER BY 1", f"payout:{one.id}")
    assert [key for (key,) in keys] == [
        f"payout:{one.id}",
        f"payout:{one.id}:failed",
        f"payout:{one.id}:paid",
    ]


def test_one_that_was_canceled_before_anybody_heard_of_it_moves_nothing() -> None:
    one, before = payout(90 * UNIT, "canceled"), held()
    assert apply(one).outcome == "applied"
    assert apply(replace(one, status="pending")).outcome == "unchanged"
    assert moved(before) == [0, 0, 0, 0]


def test_the_fee_of_an_instant_payout_is_a_cost() -> None:
    fee = balance(-90 * UNIT, 2 * UNIT, reporting_category="payout")
    before = held()
    apply(payout(90 * UNIT, "paid", balance=fee))
    assert moved(before) == [92, 0, -90, -2]


def test_a_status_that_nobody_knows_is_parked_and_the_books_hold() -> None:
    before = held()
    assert apply(payout(90 * UNIT, "teleported")).outcome == "parked"
    assert moved(before) == [0, 0, 0, 0]
    assert list(write(violations)) == []

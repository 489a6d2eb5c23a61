"""Settling, calling and changing terms at once: every share moves once, and nothing waits for ever (L8, P1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from common.money import UNITS_PER_MAJOR as ONE
from payouts.operations.publishing import publish_due
from payouts.operations.settling import settle_caller, settle_due
from tests.builders.books import balances
from tests.builders.gate import units
from tests.builders.marketplace import calling, calls, make_seller, marketplace_violations, settled, spend
from tests.concurrency.billing.test_events_at_once import at_once


def together(*calls: Callable[[], Any]) -> None:
    """All of these started together."""
    at_once(lambda place: calls[place](), callers=len(calls))


def test_eight_at_once_move_a_share_once() -> None:
    seller = make_seller(holdback_days=0)
    customer = calling(seller)
    spend(customer, "10")
    settled(customer.id)
    customer.pass_time(hours=2)

    together(*[partial(settle_caller, customer.id)] * 8)

    assert balances(seller.id)["partner_payable"] == 8 * ONE
    assert marketplace_violations(customer.id) == []


def test_two_callers_of_two_partners_do_not_wait_for_each_other_for_ever() -> None:
    first, second = make_seller(holdback_days=0), make_seller(holdback_days=0)
    customers = [calling(first, agents=("bot", "other")) for _ in range(2)]
    for customer in customers:
        calls(customer, second, agent="other")
        spend(customer, "1")
        made = customer.reserved("1", subject={"agent": "other"})
        customer.commit(made["id"], "1")
        settled(customer.id)
        customer.pass_time(hours=2)

    together(*[partial(settle_caller, customer.id) for customer in customers for _ in range(4)])

    assert [balances(seller.id)["partner_payable"] for seller in (first, second)] == [units("1.6")] * 2


def test_calls_go_on_while_terms_change_and_shares_move() -> None:
    seller = make_seller(holdback_days=0)
    customer = calling(seller)

    def change() -> None:
        seller.share(fee_rate=500_000)
        publish_due(seller.id)

    together(*[partial(spend, customer, "1", "1")] * 4, change, settle_due, settle_due)

    settled(customer.id)
    found = balances(customer.id)
    assert found["partner_earned"] + found["platform_fee"] == 8 * ONE
    assert units("4") <= seller.figures[0] <= units("6.4")
    assert seller.figures[0] == seller.figures[1]
    assert marketplace_violations(customer.id) == []

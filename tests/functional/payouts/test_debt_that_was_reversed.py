"""What became debt and was reversed: of others it changes nothing, whoever repaid it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from common.money import UNITS_PER_MAJOR as ONE
from payouts.queries import payoutintegrity
from tests.builders.gate import Customer
from tests.builders.marketplace import Seller, calling, calls, make_seller, settled, spend
from tests.builders.orgs import platform, unique
from tests.builders.tampering import told
from tests.database import Session
from tests.functional.payouts.test_money_taken_back import reversal_of, reverse
from tests.functional.payouts.test_what_pays_for_shares import claimed, proven, topped_up


def gift(customer: Customer, amount: str) -> None:
    """Credit given away, which repays what is owed."""
    body = {"organization": str(customer.id), "amount": amount, "currency": "USD", "kind": "promotional",
            "reason": "sorry"}  # fmt: skip
    answer = platform().post("/v1/credits/grants", body, key=unique())
    assert answer.status_code == 201, answer.content


def clawed_back(customer: Customer, amount: str) -> UUID:
    """Credit taken back, used or not; its entry."""
    body = {"organization": str(customer.id), "amount": amount, "currency": "USD", "source": unique(),
            "reason": "it was disputed"}  # fmt: skip
    answer = platform().post("/v1/credits/clawbacks", body, key=unique())
    assert answer.status_code == 201, answer.content
    return UUID(answer.json()["id"])


def owing(first: Seller, repay: Callable[[Customer], object]) -> Customer:
    """A call of 100 on a partner was repaid; then another one on another partner became debt."""
    customer = calling(first, credit="0")
    assert customer.use("100").status_code == 201
    repay(customer)
    settled(customer.id)
    calls(customer, make_seller())
    assert customer.use("100").status_code == 201
    return customer


class TestACallThatWasRepaid:
    def test_leaves_an_older_one_the_money_that_paid_it(self) -> None:
        first = make_seller(holdback_days=0)
        customer = owing(first, lambda one: topped_up(one, 100))
        gift(customer, "100")
        settled(customer.id)
        assert first.figures[:2] == (80 * ONE, 80 * ONE)
        reverse(customer.id)
        settled(customer.id)
        assert first.figures[:2] == (80 * ONE, 80 * ONE)
        proven(customer.id, first.id)

    @pytest.mark.parametrize("bought", [100, 60])
    def test_pays_no_older_one_that_a_gift_repaid(self, bought: int) -> None:
        first = make_seller(holdback_days=0)
        customer = owing(first, lambda one: gift(one, "100"))
        topped_up(customer, bought)
        settled(customer.id)
        assert first.figures[:2] == (0, 0)
        reverse(customer.id)
        settled(customer.id)
        assert first.figures[:2] == (0, 0)
        proven(customer.id, first.id)


class TestAClawback:
    def test_takes_no_share_that_it_has_nothing_to_do_with(self) -> None:
        first, second = make_seller(holdback_days=0), make_seller(holdback_days=0)
        customer = calling(first, credit="0")
        assert customer.use("100").status_code == 201
        gift(customer, "100")
        topped_up(customer, 100)
        calls(customer, second)
        spend(customer, "100")
        settled(customer.id)
        assert (first.figures[:2], second.figures[:2]) == ((0, 0), (80 * ONE, 80 * ONE))
        entry = clawed_back(customer, "100")
        settled(customer.id)
        assert second.figures[:2] == (80 * ONE, 0)
        assert reversal_of(entry).status_code == 201
        settled(customer.id)
        assert (first.figures[:2], second.figures[:2]) == ((0, 0), (80 * ONE, 80 * ONE))
        proven(customer.id, first.id, second.id)

    def test_that_a_gift_repaid_loses_nothing_when_it_was_none(self) -> None:
        seller = make_seller(holdback_days=0)
        customer = calling(seller, credit="0")
        topped_up(customer, 100)
        spend(customer, "100")
        entry = clawed_back(customer, "100")
        gift(customer, "60")
        settled(customer.id)
        assert seller.figures[:2] == (32 * ONE, 0)
        gift(customer, "40")
        settled(customer.id)
        assert seller.figures[:2] == (0, 0)
        assert reversal_of(entry).status_code == 201
        settled(customer.id)
        assert seller.figures[:2] == (80 * ONE, 80 * ONE)
        proven(customer.id, seller.id)


def test_the_nightly_check_knows_whose_debt_was_repaid_and_what_was_taken_off(test_session: Session) -> None:
    first = make_seller()
    customer = owing(first, lambda one: gift(one, "100"))
    topped_up(customer, 60)
    reverse(customer.id)
    settled(customer.id)
    assert claimed(test_session, customer.id, first.id, "1") == [
        "collected is 100000000, but money came for 0"
    ]
    unexplained = "DELETE FROM earning_owing WHERE organization = %(organization)s AND cause LIKE 'off:%%'"
    found = told(test_session, payoutintegrity.violations, unexplained, customer.id)
    said = "calls and payments became 20000000000 of debt, but 0 are owed and 16000000000 were repaid"
    assert f"P1 debt: {said}" in found

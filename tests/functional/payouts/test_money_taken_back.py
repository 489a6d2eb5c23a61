"""Money that did not come, or went back: a share of it is nobody's to withdraw."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from billing.rules.payments.views import DisputeView
from common.money import UNITS_PER_MAJOR as ONE
from payouts.operations.adjusting import adjust_due
from payouts.rules.shares import Tier
from tests.builders.billing import Billed
from tests.builders.books import balances
from tests.builders.gate import units
from tests.builders.marketplace import (
    Seller,
    calling,
    calling_on_account,
    make_seller,
    marketplace_violations,
    pass_time,
    reversed_once,
    settled,
    spend,
)
from tests.builders.orgs import platform, unique
from tests.builders.payments import Paying, asked
from tests.invariants import assert_sound


def reverse(customer: Any, *, newest: int = 0) -> None:
    """Take a call back, the newest unless said otherwise."""
    entries = usage_entries(customer)
    answer = reversal_of(entries[newest])
    if answer.status_code == 409:
        reversed_once(customer, entries[newest])
    else:
        assert answer.status_code == 201, answer.content


def usage_entries(customer: Any) -> list[UUID]:
    """The entries of a customer's calls, the newest first."""
    found = platform().get("/v1/entries", organization=str(customer), kind="usage").json()["data"]
    return [UUID(entry["id"]) for entry in found]


def reversal_of(entry: UUID) -> Any:
    """The answer to a reversal."""
    return platform().post(f"/v1/entries/{entry}/reverse", {"reason": "it was broken"}, key=unique())


def proven(*organizations: Any) -> None:
    for organization in organizations:
        assert_sound(organization)
        assert marketplace_violations(organization) == []


def settled_twice(made: Billed) -> None:
    """Collected, and past the holdback of 0 days."""
    settled(made.id)
    made.customer.pass_time(hours=2)
    settled(made.id)


class TestACallThatIsReversed:
    def paid(self, seller: Seller, *amounts: str) -> Billed:
        made = calling_on_account(seller)
        made.use(*amounts)
        made.pass_months()
        made.run()
        settled(made.id)
        made.pay(made.only()["id"], made.only()["total"])
        settled_twice(made)
        return made

    def test_gives_its_share_back_after_its_invoice_was_paid_and_the_share_moved(self) -> None:
        seller = make_seller(holdback_days=0)
        made = self.paid(seller, "10", "1")
        assert seller.figures == (units("8.8"),) * 4
        reverse(made.id)
        assert settled(made.id)
        assert seller.figures == (8 * ONE,) * 4
        assert balances(seller.id)["partner_payable"] == 8 * ONE
        assert not settled(made.id)
        proven(made.id, seller.id)

    def test_is_not_paid_by_what_was_used_since(self) -> None:
        seller = make_seller(holdback_days=0)
        made = self.paid(seller, "1")
        made.use("10")
        reverse(made.id, newest=1)
        settled_twice(made)
        assert seller.figures == (8 * ONE, 0, 0, 0)
        proven(made.id, seller.id)

    def test_waits_no_holdback_to_be_taken_back(self) -> None:
        seller = make_seller(holdback_days=7)
        made = self.paid(seller, "1")
        made.customer.pass_time(days=8)
        settled(made.id)
        assert seller.figures[3] == units("0.8")
        reverse(made.id)
        settled(made.id)
        assert seller.figures == (0, 0, 0, 0)
        proven(made.id, seller.id)

    def test_is_left_out_of_the_invoice_that_bills_it_later(self) -> None:
        seller = make_seller(holdback_days=0)
        made = calling_on_account(seller)
        made.use("10", "1")
        reverse(made.id)
        settled(made.id)
        made.pass_months()
        made.run()
        settled(made.id)
        made.pay(made.only()["id"], made.only()["total"])
        settled_twice(made)
        assert seller.figures == (8 * ONE,) * 4
        proven(made.id, seller.id)

    @pytest.mark.parametrize("is_first", [True, False], ids=["before-its-invoice", "after-its-invoice"])
    def test_between_the_same_two_rounds_as_it_is_invoiced_is_taken_back_once(self, is_first: bool) -> None:
        seller = make_seller(holdback_days=0)
        made = calling_on_account(seller)
        made.use("10", "1")
        settled(made.id)
        made.pass_months()
        if is_first:
            reverse(made.id)
        made.run()
        if not is_first:
            reverse(made.id)

        settled(made.id)

        made.pay(made.only()["id"], made.only()["due"])
        settled_twice(made)
        assert seller.figures == (8 * ONE,) * 4
        assert not settled(made.id)
        proven(made.id, seller.id)

    def test_is_on_no_invoice_again_after_that_was_voided(self) -> None:
        seller = make_seller(holdback_days=0)
        made = calling_on_account(seller)
        made.use("10", "1")
        made.pass_months()
        made.run()
        settled(made.id)
        reverse(made.id)
        settled(made.id)
        assert made.act(made.only()["id"], "void", {"reason": "wrong"}).status_code == 200
        settled(made.id)
        made.pass_months()
        made.run()
        settled(made.id)
        again = made.invoices()[-1]
        made.pay(again["id"], again["total"])
        settled_twice(made)
        assert seller.figures == (8 * ONE,) * 4
        proven(made.id, seller.id)


class TestACallOnAccountThatWasBroken:
    def test_keeps_its_share_until_its_invoice_is_credited(self) -> None:
        seller = make_seller(holdback_days=0)
        made = calling_on_account(seller)
        made.use("10")
        with made.still():
            answer = reversal_of(usage_entries(made.id)[0])
            assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
        made.pass_months()
        made.run()
        settled(made.id)
        made.pay(made.only()["id"], made.only()["total"])
        settled_twice(made)
        assert seller.figures == (8 * ONE,) * 4
        assert made.act(made.only()["id"], "credit-notes", {"reason": "broken"}).status_code == 201
        settled_twice(made)
        assert seller.figures == (0, 0, 0, 0)
        proven(made.id, seller.id)


class TestTiersThatTakeMoreOfMore:
    def test_take_back_what_their_calls_had_too_much(self) -> None:
        seller = make_seller(holdback_days=0)
        seller.share(tiers=(Tier(10 * ONE, 100_000), Tier(None, 300_000)))
        customer = calling(seller)
        spend(customer, "10", "10")
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        assert seller.figures == (18 * ONE,) * 4
        pass_time(seller.id, days=31)
        customer.pass_time(days=31)
        adjust_due()
        settled(customer.id)
        assert seller.figures == (14 * ONE,) * 4
        assert not settled(customer.id)
        proven(customer.id, seller.id)


class TestADisputeOfAnInvoicesPayment:
    def disputed(self, seller: Seller, part: int) -> tuple[Billed, Paying, DisputeView]:
        made = calling_on_account(seller)
        made.use("1000")
        made.pass_months()
        made.run()
        settled(made.id)
        paying = asked(made.id, 1000 * ONE, invoice=UUID(made.only()["id"]))
        assert paying.apply(paying.view()).outcome == "applied"
        settled_twice(made)
        assert seller.figures == (800 * ONE,) * 4
        dispute = paying.dispute(part)
        assert paying.apply(dispute).outcome == "applied"
        settled(made.id)
        return made, paying, dispute

    def test_takes_the_share_back_while_it_is_argued_about(self) -> None:
        seller = make_seller(holdback_days=0)
        made, paying, dispute = self.disputed(seller, 1000 * ONE)
        assert made.only()["status"] == "paid"
        assert seller.figures == (800 * ONE, 0, 0, 0)
        proven(made.id, seller.id)
        assert paying.apply(paying.won(dispute)).outcome == "applied"
        settled_twice(made)
        assert seller.figures == (800 * ONE,) * 4
        proven(made.id, seller.id)

    def test_that_is_lost_takes_it_once(self) -> None:
        seller = make_seller(holdback_days=0)
        made, paying, dispute = self.disputed(seller, 250 * ONE)
        assert seller.figures == (800 * ONE, *(600 * ONE,) * 3)
        assert paying.apply(paying.lost(dispute)).outcome == "applied"
        settled_twice(made)
        assert made.only()["due"] == "250.00"
        assert seller.figures == (800 * ONE, *(600 * ONE,) * 3)
        proven(made.id, seller.id)


class TestACreditNoteOfAPaidInvoice:
    def test_takes_its_own_part_of_the_share_and_no_more(self) -> None:
        seller = make_seller(holdback_days=0)
        made = calling_on_account(seller)
        made.use("100")
        made.pass_months()
        made.run()
        settled(made.id)
        made.pay(made.only()["id"], "100.00")
        settled_twice(made)
        line = made.lines(made.only()["id"])[0]
        body = {"reason": "too slow", "lines": [{"line": line["number"], "net": "50.00"}]}
        assert made.act(made.only()["id"], "credit-notes", body).status_code == 201
        settled_twice(made)
        assert seller.figures == (40 * ONE,) * 4
        proven(made.id, seller.id)


class TestDebtOfACallThatIsReversed:
    def test_is_nobodys_so_that_the_older_call_is_owed_still(self) -> None:
        seller = make_seller(holdback_days=0)
        customer = calling(seller, credit="0")
        for amount in ("5", "10"):
            assert customer.use(amount).status_code == 201
        reverse(customer.id)
        settled(customer.id)
        assert seller.figures[:2] == (4 * ONE, 0)
        customer.grant("5")
        settled(customer.id)
        assert seller.figures[:2] == (4 * ONE, 4 * ONE)
        proven(customer.id, seller.id)

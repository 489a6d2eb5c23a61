"""A share is collected as far as money came for it, and for nothing else: commitments, debt, top-ups that go back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.money import UNITS_PER_MAJOR as ONE
from common.money import format_amount
from payouts.operations.adjusting import adjust_due
from payouts.queries import payoutintegrity
from payouts.rules.shares import Tier
from spend.operations.charging import charge_quantity
from spend.rules.charging import MeteredCharge
from tests.builders.billing import Billed, billed
from tests.builders.contracts import acted, agreed, commitment
from tests.builders.gate import Customer, units
from tests.builders.marketplace import (
    Seller,
    calling,
    calling_on_account,
    calls,
    make_seller,
    marketplace_violations,
    pass_time,
    settled,
    spend,
)
from tests.builders.orgs import AUTHOR, platform, unique, write
from tests.builders.payments import Paying, asked
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, owner, sell, subscribe
from tests.builders.tampering import told
from tests.database import Session
from tests.functional.payouts.test_money_taken_back import reversal_of, usage_entries
from tests.invariants import assert_sound

FEE = {"key": "support", "name": "Support", "amount": "500", "interval": {"unit": "month"}}


def proven(*organizations: UUID) -> None:
    for organization in organizations:
        assert_sound(organization)
        assert marketplace_violations(organization) == []


def billed_again(made: Billed, before: int) -> dict[str, Any]:
    """The one invoice more that a month makes."""
    made.pass_months()
    made.run()
    settled(made.id)
    found = made.invoices()
    assert len(found) == before + 1, found
    return found[-1]


def adjust(customer: UUID, amount: str, contra: str) -> None:
    """Credit by hand, which repays what is owed."""
    body = {"organization": str(customer), "amount": amount, "currency": "USD", "direction": "credit",
            "contra": contra, "reason": "it will not be paid"}  # fmt: skip
    answer = platform().post("/v1/adjustments", body, key=unique())
    assert answer.status_code == 201, answer.content
    assert answer.json()["status"] == "posted"


def topped_up(customer: Customer, amount: int) -> Paying:
    paying = asked(customer.id, amount * ONE)
    assert paying.apply(paying.view()).outcome == "applied"
    return paying


def lost(paying: Paying) -> None:
    """All of it is disputed, and the dispute is lost."""
    dispute = paying.dispute(paying.amount)
    assert paying.apply(dispute).outcome == "applied"
    assert paying.apply(paying.lost(dispute)).outcome == "applied"


class TestAPostpaidCommitment:
    def used(self, seller: Seller, *amounts: str, **given: Any) -> Billed:
        """Use of a commitment of 1,000 a year."""
        made = calling_on_account(seller)
        agreed(made.id, "1000", commitment=commitment("postpaid", "segment"), **given)
        made.use(*amounts)
        settled(made.id)
        return made

    def test_is_not_collected_by_the_fee_of_its_contract(self) -> None:
        seller = make_seller(holdback_days=0)
        made = self.used(seller, "200", fees=[FEE])
        made.run()
        made.customer.pass_time(days=2)
        made.run()
        invoice = made.only()
        assert (invoice["status"], invoice["total"]) == ("open", "500.00")
        made.pay(invoice["id"], "500.00")
        settled(made.id)
        assert seller.figures[:2] == (160 * ONE, 0)
        proven(made.id)

    def test_is_collected_as_the_invoice_that_bills_its_use_is_paid(self) -> None:
        seller = make_seller(holdback_days=0)
        made = self.used(seller, "150", "50")
        invoice = billed_again(made, 0)
        assert invoice["total"] == "200.00"
        assert seller.figures[:2] == (160 * ONE, 0)
        made.pay(invoice["id"], "50.00")
        settled(made.id)
        assert seller.figures[:2] == (160 * ONE, 40 * ONE)
        made.pay(invoice["id"], "150.00")
        made.use("100")
        settled(made.id)
        assert seller.figures[:2] == (240 * ONE, 160 * ONE)
        proven(made.id)

    def test_is_lost_where_the_invoice_of_its_use_is_written_off(self) -> None:
        seller = make_seller()
        made = self.used(seller, "200")
        invoice = billed_again(made, 0)
        assert made.act(invoice["id"], "write-off", {"reason": "gone"}).status_code == 200
        settled(made.id)
        assert seller.figures[:2] == (0, 0)
        proven(made.id)

    def test_stands_on_the_next_invoice_where_that_was_void(self) -> None:
        seller = make_seller()
        made = self.used(seller, "200")
        invoice = billed_again(made, 0)
        assert made.act(invoice["id"], "void", {"reason": "wrong"}).status_code == 200
        settled(made.id)
        again = billed_again(made, 1)
        made.pay(again["id"], again["total"])
        settled(made.id)
        assert seller.figures[:2] == (160 * ONE, 160 * ONE)
        proven(made.id)

    def test_keeps_the_share_of_a_call_that_nobody_may_reverse(self) -> None:
        seller = make_seller(holdback_days=0)
        made = self.used(seller, "150", "50")
        invoice = billed_again(made, 0)
        made.pay(invoice["id"], "200.00")
        made.use("100")
        settled(made.id)
        for entry in usage_entries(made.id)[:2]:
            assert reversal_of(entry).status_code == 409
        settled(made.id)
        assert seller.figures[:2] == (240 * ONE, 160 * ONE)
        proven(made.id)


class TestAnAdvance:
    def test_is_collected_by_its_own_invoice_and_what_is_added_by_that_of_the_addition(self) -> None:
        seller = make_seller()
        made = calling_on_account(seller)
        contract = agreed(made.id, "100", days=300, commitment=commitment("prepaid", "segment"), fees=[FEE])
        made.use("40")
        made.run()
        made.customer.pass_time(days=2)
        made.run()
        invoice = made.only()
        assert invoice["total"] == "600.00"
        made.pay(invoice["id"], "300.00")
        settled(made.id)
        assert seller.figures[:2] == (32 * ONE, 16 * ONE)
        made.pay(invoice["id"], "300.00")
        definition = {
            **contract["definition"],
            "ramp": [{**contract["definition"]["ramp"][0], "amount": "1000"}],
        }
        acted(contract, "amend", {"definition": definition})
        made.customer.pass_time(days=1)
        made.run()
        made.use("500")
        settled(made.id)
        earned, collected, *_ = seller.figures
        # of the second grant a small part is the rest of the first advance
        assert earned == 432 * ONE
        assert 32 * ONE < collected < 80 * ONE
        proven(made.id)


class TestDebtOfACall:
    def owing(self, seller: Seller) -> Customer:
        customer = calling(seller, credit="0")
        assert customer.use("10").status_code == 201
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 0)
        return customer

    @pytest.mark.parametrize("contra", ["bad_debt", "promotional_expense", "revenue"])
    def test_that_is_repaid_by_no_money_is_lost(self, contra: str) -> None:
        seller = make_seller()
        customer = self.owing(seller)
        adjust(customer.id, "4", contra)
        settled(customer.id)
        assert seller.figures[:2] == (units("4.8"), 0)
        customer.grant("6")
        settled(customer.id)
        assert seller.figures[:2] == (units("4.8"), units("4.8"))
        customer.grant("50")
        spend(customer, "10")
        settled(customer.id)
        assert seller.figures[:2] == (units("12.8"), units("12.8"))
        proven(customer.id)

    def test_that_is_repaid_by_cash_is_collected(self) -> None:
        seller = make_seller()
        customer = self.owing(seller)
        adjust(customer.id, "10", "cash")
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(customer.id)

    def test_that_a_plan_repaid_is_collected_as_the_plans_fee_is_paid(self) -> None:
        seller = make_seller()
        made = billed(funding="prepaid")
        calls(made.customer, seller)
        customer = made.customer
        assert customer.use("10").status_code == 201
        subscribe(owner(customer.id), sell(fee("40"), credits=[{"amounts": {"USD": "20"}}]))
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 0)
        customer.pass_time(days=2)
        made.run()
        invoice = made.only()
        made.pay(invoice["id"], "10.00")
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 2 * ONE)
        made.pay(invoice["id"], "30.00")
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(customer.id)

    def test_that_a_postpaid_commitment_repaid_is_collected_as_that_is_paid(self) -> None:
        seller = make_seller()
        made = billed(funding="prepaid")
        calls(made.customer, seller)
        assert made.customer.use("10").status_code == 201
        agreed(made.id, "100", commitment=commitment("postpaid", "segment"))
        made.use("50")
        settled(made.id)
        assert seller.figures[:2] == (48 * ONE, 0)
        made.customer.pass_time(days=2)
        made.run()
        assert made.only()["total"] == "10.00"
        made.pay(made.only()["id"], "5.00")
        settled(made.id)
        assert seller.figures[:2] == (48 * ONE, 4 * ONE)
        made.pay(made.only()["id"], "5.00")
        settled(made.id)
        assert seller.figures[:2] == (48 * ONE, 8 * ONE)
        proven(made.id)

    def test_that_a_meter_left_is_nobodys_share(self) -> None:
        seller = make_seller()
        customer = calling(seller, credit="10")
        spend(customer, "10")
        start = now_of(customer.id)
        customer.pass_time(days=2)
        metered = MeteredCharge(
            "billing", unique(), units("5"), "USD", "api_calls", "calls", start, start + timedelta(days=1)
        )
        write(lambda cur: charge_quantity(cur, organization=customer.id, charge=metered, author=AUTHOR))
        assert customer.available() == "-5"
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(customer.id)


class TestATopUpThatGoesBack:
    def two_used(self) -> tuple[Customer, Seller, Seller, list[Paying]]:
        """The first one's calls were paid by the first top-up, the second one's by the second."""
        first, second = make_seller(holdback_days=0), make_seller(holdback_days=0)
        customer = calling(first, credit="0")
        payings = [topped_up(customer, 100)]
        spend(customer, "100")
        payings.append(topped_up(customer, 100))
        calls(customer, second)
        spend(customer, "100")
        settled(customer.id)
        assert (first.figures[1], second.figures[1]) == (80 * ONE, 80 * ONE)
        return customer, first, second, payings

    def test_takes_the_share_that_it_paid_for_not_the_newest(self) -> None:
        customer, first, second, payings = self.two_used()
        lost(payings[0])
        settled(customer.id)
        assert (first.figures[1], second.figures[1]) == (0, 80 * ONE)
        proven(customer.id, first.id, second.id)
        topped_up(customer, 100)
        settled(customer.id)
        assert (first.figures[1], second.figures[1]) == (80 * ONE, 80 * ONE)
        proven(customer.id, first.id, second.id)

    def test_takes_it_again_where_what_repaid_it_goes_back(self) -> None:
        customer, first, second, payings = self.two_used()
        lost(payings[0])
        lost(topped_up(customer, 100))
        settled(customer.id)
        assert (first.figures[1], second.figures[1]) == (0, 80 * ONE)
        proven(customer.id, first.id, second.id)

    def test_takes_the_share_of_the_call_whose_debt_it_repaid(self) -> None:
        first, second = make_seller(holdback_days=0), make_seller(holdback_days=0)
        customer = calling(first, credit="0")
        assert customer.use("100").status_code == 201
        repaid = topped_up(customer, 100)
        topped_up(customer, 100)
        calls(customer, second)
        spend(customer, "100")
        settled(customer.id)
        assert (first.figures[1], second.figures[1]) == (80 * ONE, 80 * ONE)
        lost(repaid)
        settled(customer.id)
        assert (first.figures[1], second.figures[1]) == (0, 80 * ONE)
        proven(customer.id, first.id, second.id)

    def test_is_lost_where_its_debt_is_written_off(self) -> None:
        customer, first, second, payings = self.two_used()
        lost(payings[0])
        adjust(customer.id, "100", "bad_debt")
        settled(customer.id)
        assert (first.figures[:2], second.figures[:2]) == ((0, 0), (80 * ONE, 80 * ONE))
        topped_up(customer, 50)
        spend(customer, "50")
        settled(customer.id)
        assert (first.figures[:2], second.figures[:2]) == ((0, 0), (120 * ONE, 120 * ONE))
        proven(customer.id, first.id, second.id)


class TestADifferenceOfTiers:
    TIERS = (Tier(10 * ONE, 300_000), Tier(None, 100_000))

    def over(self, seller: Seller, organization: UUID) -> None:
        adjust_due()  # of other tests, if anything
        pass_time(seller.id, days=31)
        adjust_due()
        settled(organization)

    def test_is_collected_as_its_month_is_and_not_less_by_later_calls(self) -> None:
        seller = make_seller()
        seller.share(tiers=self.TIERS)
        made = calling_on_account(seller)
        made.use("20")
        invoice = billed_again(made, 0)
        self.over(seller, made.id)
        assert seller.figures[:2] == (18 * ONE, 0)
        made.pay(invoice["id"], "10.00")
        settled(made.id)
        assert seller.figures[:2] == (18 * ONE, 9 * ONE)
        made.use("100")
        settled(made.id)
        assert seller.figures[1] == 9 * ONE
        made.pay(invoice["id"], "10.00")
        settled(made.id)
        assert seller.figures[1] == 18 * ONE
        made.use("100")
        assert not settled(made.id)
        billed_again(made, 1)
        assert seller.figures[1] == 18 * ONE
        proven(made.id)

    def test_is_not_collected_by_what_was_paid_for_another_partner(self) -> None:
        seller, other = make_seller(), make_seller()
        seller.share(tiers=self.TIERS)
        made = calling_on_account(seller)
        made.use("20")
        invoice = billed_again(made, 0)
        made.customer.grant("1000")
        calls(made.customer, other)
        made.use("900")
        self.over(seller, made.id)
        assert (seller.figures[:2], other.figures[:2]) == ((18 * ONE, 0), (720 * ONE, 720 * ONE))
        assert made.act(invoice["id"], "write-off", {"reason": "gone"}).status_code == 200
        settled(made.id)
        assert (seller.figures[:2], other.figures[:2]) == ((0, 0), (720 * ONE, 720 * ONE))
        proven(made.id)


def claimed(session: Session, customer: UUID, partner: UUID, amount: str) -> list[str]:
    """What the nightly check says where so much of a partner's share were collected."""
    tampering = (
        f"UPDATE earning_pairs SET collected = {units(amount)} WHERE organization = %(organization)s"
        f" AND partner = '{partner}'"
    )
    found = told(session, payoutintegrity.violations, tampering, customer)
    return [one.removeprefix("P1 money: ") for one in found if one.startswith("P1 money: ")]


class TestTheNightlyCheck:
    def test_finds_what_a_contracts_fee_was_taken_for(self, test_session: Session) -> None:
        seller = make_seller()
        made = TestAPostpaidCommitment().used(seller, "200", fees=[FEE])
        made.customer.pass_time(days=2)
        made.run()
        made.pay(made.only()["id"], "500.00")
        settled(made.id)
        assert claimed(test_session, made.id, seller.id, "160") == [
            "collected is 16000000000, but money came for 0"
        ]

    def test_finds_what_a_write_off_was_taken_for(self, test_session: Session) -> None:
        seller = make_seller()
        customer = TestDebtOfACall().owing(seller)
        adjust(customer.id, "4", "bad_debt")
        customer.grant("6")
        settled(customer.id)
        assert claimed(test_session, customer.id, seller.id, "8") == [
            "collected is 800000000, but money came for 480000000"
        ]

    def test_finds_whose_payment_went_back(self, test_session: Session) -> None:
        customer, first, _, payings = TestATopUpThatGoesBack().two_used()
        lost(payings[0])
        settled(customer.id)
        assert claimed(test_session, customer.id, first.id, "1") == [
            "collected is 100000000, but money came for 0"
        ]

    def test_finds_a_difference_that_another_months_calls_paid(self, test_session: Session) -> None:
        seller = make_seller()
        seller.share(tiers=TestADifferenceOfTiers.TIERS)
        made = calling_on_account(seller)
        made.use("20")
        billed_again(made, 0)
        made.customer.grant("1000")
        made.use("900")
        TestADifferenceOfTiers().over(seller, made.id)
        earned, collected, *_ = seller.figures
        assert collected == earned - 18 * ONE
        found = claimed(test_session, made.id, seller.id, format_amount(collected + 1))
        assert found == [f"collected is {collected + 1}, but money came for {collected}"]

"""From a commit to the partner's own books: earned, collected, past the holdback, withdrawable (S96 to S100)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from common.money import UNITS_PER_MAJOR as ONE
from payouts.operations.adjusting import adjust_due
from payouts.operations.publishing import publish_due
from payouts.rules.shares import Tier
from tests.builders.billing import Billed
from tests.builders.books import balances
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
from tests.builders.orgs import platform, unique
from tests.builders.subscribed import fee
from tests.builders.subscriptions import owner, sell, subscribe
from tests.invariants import assert_sound


def proven(*organizations: UUID) -> None:
    for organization in organizations:
        assert_sound(organization)
        assert marketplace_violations(organization) == []


def invoiced(seller: Seller, *amounts: str) -> tuple[Billed, dict[str, object]]:
    made = calling_on_account(seller)
    made.use(*amounts)
    made.pass_months()
    made.run()
    settled(made.id)
    return made, made.only()


class TestACallOfAListing:
    def test_earns_its_partner_what_the_platform_does_not_keep(self) -> None:
        seller = make_seller()
        customer = calling(seller)

        spend(customer, "1")

        found = balances(customer.id)
        assert (found["partner_earned"], found["platform_fee"]) == (units("0.8"), units("0.2"))
        assert "revenue" not in found
        assert seller.figures == (units("0.8"), 0, 0, 0)
        proven(customer.id)

    def test_is_revenue_alone_where_the_agent_calls_no_listing(self) -> None:
        customer = calling(make_seller(), agents=("bot", "own"))
        made = customer.reserved("1", subject={"agent": "own"})
        customer.commit(made["id"], "1")
        assert balances(customer.id)["revenue"] == ONE
        proven(customer.id)

    def test_earns_also_when_it_is_told_after_the_fact(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        assert customer.use("2").status_code == 201
        assert seller.figures[0] == units("1.6")
        proven(customer.id)

    def test_gives_the_share_to_the_last_unit(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "0.00000001", "0.00000003", "0.01234567")
        found = balances(customer.id)
        assert found["partner_earned"] + found["platform_fee"] == units("0.01234571")
        proven(customer.id)


class TestBoughtCredit:
    def test_is_collected_at_once_and_withdrawable_after_the_holdback(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "10")

        assert settled(customer.id)
        assert seller.figures == (8 * ONE, 8 * ONE, 0, 0)
        customer.pass_time(days=6, hours=23)
        assert not settled(customer.id)
        customer.pass_time(hours=2)
        assert settled(customer.id)

        assert seller.figures == (8 * ONE, 8 * ONE, 8 * ONE, 8 * ONE)
        assert balances(seller.id) == {"partner_payable": 8 * ONE, "intercompany_clearing": -8 * ONE}
        assert balances(customer.id)["intercompany_clearing"] == 8 * ONE
        assert not settled(customer.id)
        proven(customer.id, seller.id)

    def test_that_is_owed_is_not_collected_until_it_is_repaid(self) -> None:
        seller = make_seller(holdback_days=0)
        customer = calling(seller, credit="1")
        made = customer.reserved("1")
        customer.commit(made["id"], "4")

        settled(customer.id)
        assert seller.figures[:2] == (units("3.2"), units("0.8"))
        customer.grant("2")
        settled(customer.id)
        assert seller.figures[:2] == (units("3.2"), units("2.4"))
        customer.grant("5")
        settled(customer.id)
        assert seller.figures[:2] == (units("3.2"), units("3.2"))
        proven(customer.id)

    def test_taken_back_after_it_was_burnt_takes_the_share_back(self) -> None:
        seller = make_seller()
        customer = calling(seller, credit="10")
        spend(customer, "10")
        settled(customer.id)
        customer.pass_time(days=8)
        settled(customer.id)
        assert seller.figures == (8 * ONE, 8 * ONE, 8 * ONE, 8 * ONE)

        answer = platform().post(
            "/v1/credits/clawbacks",
            {
                "organization": str(customer.id),
                "amount": "5",
                "currency": "USD",
                "source": f"dispute:{unique()}",
                "reason": "lost",
            },
            key=unique(),
        )
        assert answer.status_code in (200, 201), answer.content
        assert settled(customer.id)

        assert seller.figures == (8 * ONE, 4 * ONE, 4 * ONE, 4 * ONE)
        assert balances(seller.id)["partner_payable"] == 4 * ONE
        proven(customer.id, seller.id)


class TestCreditGivenAway:
    def test_earns_because_the_platform_funds_it(self) -> None:
        seller = make_seller()
        customer = calling(seller, credit="0")
        customer.grant("10", kind="promotional")
        spend(customer, "10")
        settled(customer.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(customer.id)

    def test_earns_nothing_where_the_terms_say_so(self) -> None:
        seller = make_seller()
        seller.share(fee_rate=200_000, promotional="none")
        customer = calling(seller, credit="0")
        customer.grant("4", kind="promotional")
        customer.grant("10")
        spend(customer, "4", "6")
        assert seller.figures[0] == units("4.8")
        assert balances(customer.id)["platform_fee"] == units("5.2")
        proven(customer.id)

    @pytest.mark.parametrize(("price", "earned"), [("0", "0"), ("5", "4")], ids=["free", "worth-more"])
    def test_earns_nothing_as_credit_of_a_plan_that_is_worth_more_than_its_fee(
        self, price: str, earned: str
    ) -> None:
        seller = make_seller()
        seller.share(fee_rate=200_000, promotional="none")
        made = calling_on_account(seller)
        subscribe(owner(made.id), sell(fee(price), credits=[{"amounts": {"USD": "20"}}]))
        made.use("3", "4", "13")
        assert seller.figures[0] == units(earned)
        assert balances(made.id)["platform_fee"] == 20 * ONE - units(earned)
        settled(made.id)
        assert seller.figures[1] == 0
        proven(made.id)


class TestTheLine:
    def test_is_earned_but_not_collected_while_its_invoice_is_unpaid(self) -> None:
        seller = make_seller()
        made, invoice = invoiced(seller, "10", "5")
        assert seller.figures == (12 * ONE, 0, 0, 0)
        assert invoice["total"] == "15.00"
        proven(made.id)

    def test_is_collected_as_the_invoice_is_paid(self) -> None:
        seller = make_seller()
        made, invoice = invoiced(seller, "10", "5")
        made.pay(str(invoice["id"]), "5.00")
        settled(made.id)
        assert seller.figures[:2] == (12 * ONE, 4 * ONE)
        made.pay(str(invoice["id"]), "10.00")
        settled(made.id)
        made.customer.pass_time(days=8)
        settled(made.id)
        assert seller.figures == (12 * ONE, 12 * ONE, 12 * ONE, 12 * ONE)
        proven(made.id, seller.id)

    def test_of_which_a_credit_note_takes_a_part_loses_that_part(self) -> None:
        seller = make_seller()
        made, invoice = invoiced(seller, "10")
        line = made.lines(str(invoice["id"]))[0]
        answer = made.act(
            str(invoice["id"]),
            "credit-notes",
            {"reason": "too slow", "lines": [{"line": line["number"], "net": "4.00"}]},
        )
        assert answer.status_code == 201, answer.content
        settled(made.id)
        assert seller.figures[:2] == (units("4.8"), 0)
        made.pay(str(invoice["id"]), "6.00")
        settled(made.id)
        assert seller.figures[:2] == (units("4.8"), units("4.8"))
        assert balances(made.id)["platform_fee"] == units("5.2")
        proven(made.id)

    def test_written_off_is_lost_and_comes_back_when_it_is_paid_after_all(self) -> None:
        seller = make_seller()
        made, invoice = invoiced(seller, "10")
        assert made.act(str(invoice["id"]), "write-off", {"reason": "gone"}).status_code == 200
        settled(made.id)
        assert seller.figures[:2] == (0, 0)
        proven(made.id)
        assert made.pay(str(invoice["id"]), "10.00").status_code < 300
        settled(made.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(made.id)

    def test_of_a_void_invoice_is_on_the_next_one(self) -> None:
        seller = make_seller()
        made, invoice = invoiced(seller, "10")
        assert made.act(str(invoice["id"]), "void", {"reason": "wrong"}).status_code == 200
        settled(made.id)
        made.pass_months()
        made.run()
        settled(made.id)
        again = made.invoices()[-1]
        assert again["id"] != invoice["id"]
        made.pay(str(again["id"]), str(again["total"]))
        settled(made.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(made.id)


class TestARevenueShare:
    def test_counts_from_when_it_is_published_and_touches_nothing_earlier(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "1")
        seller.share(fee_rate=500_000)
        calls(customer, seller)
        spend(customer, "1")
        assert seller.figures[0] == units("1.3")
        proven(customer.id)

    def test_begins_by_the_clock(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        begin = seller.listing.created_at + timedelta(days=2)
        seller.share(fee_rate=0, valid_from=begin)
        calls(customer, seller)
        spend(customer, "1")
        customer.pass_time(days=2)
        spend(customer, "1")
        assert seller.figures[0] == units("1.8")
        proven(customer.id)

    @pytest.mark.parametrize(
        ("terms", "share"),
        [
            ({"fixed": units("0.25")}, "0.25"),
            ({"fixed": units("3")}, "1"),
            ({"fixed": units("3"), "minimum_fee": units("0.4")}, "0.6"),
            ({"fee_rate": 100_000, "minimum_fee": units("0.3")}, "0.7"),
            ({"fee_rate": 1_000_000}, "0"),
            ({"fee_rate": 0}, "1"),
        ],
        ids=["fixed", "fixed-above", "fixed-minimum", "minimum", "all", "nothing"],
    )
    def test_has_its_kinds(self, terms: dict[str, int], share: str) -> None:
        seller = make_seller()
        seller.share(**terms)
        customer = calling(seller)
        spend(customer, "1")
        assert seller.figures[0] == units(share)
        proven(customer.id)

    def test_is_split_between_partners_to_the_last_unit(self) -> None:
        first, second, third = make_seller(), make_seller(), make_seller()
        first.share(fee_rate=100_000, splits=((first.id, 1), (second.id, 1), (third.id, 1)))
        customer = calling(first)
        spend(customer, "0.00000100")
        earned = [seller.figures[0] for seller in (first, second, third)]
        assert earned == [30, 30, 30]
        spend(customer, "0.00000001")
        assert sum(seller.figures[0] for seller in (first, second, third)) + balances(customer.id)[
            "platform_fee"
        ] == units("0.00000101")
        proven(customer.id)


class TestAReversedCharge:
    def test_takes_its_share_back(self) -> None:
        seller = make_seller(holdback_days=0)
        customer = calling(seller)
        spend(customer, "10", "5")
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        assert seller.figures[3] == 12 * ONE
        api = platform()
        entries = api.get(f"/v1/entries?organization={customer.id}&kind=usage").json()["data"]
        answer = api.post(f"/v1/entries/{entries[-1]['id']}/reverse", {"reason": "broken"}, key=unique())
        assert answer.status_code == 201, answer.content
        settled(customer.id)
        assert seller.figures == (4 * ONE, 4 * ONE, 4 * ONE, 4 * ONE)
        proven(customer.id, seller.id)


class TestTiers:
    def tiered(self) -> tuple[Seller, Customer]:
        seller = make_seller(holdback_days=0)
        seller.share(tiers=(Tier(10 * ONE, 300_000), Tier(None, 100_000)))
        return seller, calling(seller, credit="100")

    def test_share_by_the_tier_that_is_known_at_the_commit(self) -> None:
        seller, customer = self.tiered()
        spend(customer, "10", "1")
        assert seller.figures[0] == units("7.7")
        publish_due(seller.id)
        spend(customer, "1")
        assert seller.figures[0] == units("8.6")
        proven(customer.id)

    def test_bring_the_difference_when_the_month_is_over_and_only_once(self) -> None:
        seller, customer = self.tiered()
        spend(customer, "10", "1")
        settled(customer.id)
        adjust_due()  # of other tests, if anything
        assert seller.figures[0] == units("7.7")
        pass_time(seller.id, days=31)
        customer.pass_time(days=31)
        assert adjust_due() == 1
        assert seller.figures[0] == units("9.9")
        settled(customer.id)
        assert seller.figures == (units("9.9"),) * 2 + (units("7.7"),) * 2
        assert adjust_due() == 0
        assert balances(customer.id)["platform_fee"] == units("1.1")
        proven(customer.id, seller.id)

    def test_go_by_whole_charges_where_several_share_them(self) -> None:
        first, second = make_seller(), make_seller()
        tiers = (Tier(10 * ONE, 300_000), Tier(None, 100_000))
        first.share(tiers=tiers, splits=((first.id, 1), (second.id, 1)))
        customer = calling(first)
        spend(customer, "16")  # of which 8 are each one's own part
        adjust_due()  # of other tests, if anything
        pass_time(first.id, days=31)
        customer.pass_time(days=31)
        assert adjust_due() == 1
        assert (first.figures[0], second.figures[0]) == (units("7.2"), units("7.2"))
        assert adjust_due() == 0
        proven(customer.id)

    def test_begin_anew_with_the_month(self) -> None:
        seller, customer = self.tiered()
        spend(customer, "20")
        publish_due(seller.id)
        pass_time(seller.id, days=31)
        customer.pass_time(days=31)
        spend(customer, "1")
        assert seller.figures[0] == units("14.7")
        proven(customer.id)


class TestTiersAndReversals:
    def tiered(self, *tiers: Tier) -> tuple[Seller, Customer]:
        seller = make_seller(holdback_days=0)
        seller.share(tiers=tiers or (Tier(10 * ONE, 300_000), Tier(None, 100_000)))
        return seller, calling(seller)

    def month_over(self, seller: Seller, customer: Customer) -> None:
        pass_time(seller.id, days=31)
        customer.pass_time(days=31)
        adjust_due()
        settled(customer.id)

    def reverse(self, customer: Customer, amount: str) -> None:
        api = platform()
        entries = api.get("/v1/entries", organization=str(customer.id), kind="usage").json()["data"]
        wanted = next(one for one in entries if {"-" + amount} & {line["amount"] for line in one["lines"]})
        answer = api.post(f"/v1/entries/{wanted['id']}/reverse", {"reason": "broken"}, key=unique())
        assert answer.status_code == 201, answer.content

    def test_of_a_month_that_falls_back_into_the_first_tier_leave_no_call_at_a_later_ones_rate(self) -> None:
        seller, customer = self.tiered()
        spend(customer, "8", "3")
        publish_due(seller.id)
        spend(customer, "1")
        assert seller.figures[0] == units("8.6")
        self.reverse(customer, "3")
        self.month_over(seller, customer)
        assert seller.figures[:2] == (units("6.3"), units("6.3"))
        assert adjust_due() == 0
        proven(customer.id, seller.id)

    def test_count_a_call_that_is_reversed_later_in_the_month_in_which_it_was_made(self) -> None:
        seller, customer = self.tiered()
        spend(customer, "9", "10", "11")
        self.month_over(seller, customer)
        assert seller.figures[0] == 27 * ONE
        self.reverse(customer, "11")
        assert adjust_due() == 1
        settled(customer.id)
        assert seller.figures[:2] == (units("17.1"), units("17.1"))
        self.reverse(customer, "10")
        adjust_due()
        settled(customer.id)
        assert seller.figures[:2] == (units("6.3"), units("6.3"))
        proven(customer.id, seller.id)

    def test_count_calls_of_which_the_platform_keeps_all(self) -> None:
        seller, customer = self.tiered(Tier(10 * ONE, 1_000_000), Tier(None, 100_000))
        spend(customer, "10", "1")
        publish_due(seller.id)
        spend(customer, "1")
        assert seller.figures[0] == units("0.9")
        self.month_over(seller, customer)
        assert seller.figures[:2] == (units("10.8"), units("10.8"))
        proven(customer.id, seller.id)

    def test_take_no_share_of_a_charge_back_with_the_breakage_that_its_event_had_beside_it(self) -> None:
        seller = make_seller()
        customer = calling(seller, credit="0")
        customer.grant("5", lifetime=timedelta(minutes=5))
        made = customer.reserved("5", ttl_seconds=3600)
        customer.pass_time(minutes=10)
        customer.expire_grants()
        assert customer.commit(made["id"], "2").status_code == 200
        api = platform()
        (broken,) = api.get("/v1/entries", organization=str(customer.id), kind="breakage").json()["data"]
        answer = api.post(f"/v1/entries/{broken['id']}/reverse", {"reason": "kind"}, key=unique())
        assert answer.status_code == 201, answer.content
        assert seller.figures[0] == units("1.6")
        proven(customer.id)


class TestCreditOfAPlan:
    def test_is_collected_as_the_invoice_of_its_fee_is_paid(self) -> None:
        seller = make_seller()
        made = calling_on_account(seller)
        subscribe(owner(made.id), sell(fee("40"), credits=[{"amounts": {"USD": "20"}}]))
        made.use("10")
        settled(made.id)
        assert seller.figures[:2] == (8 * ONE, 0)
        made.customer.pass_time(days=2)
        made.run()
        invoice = made.only()
        assert invoice["status"] == "open", invoice
        made.pay(invoice["id"], "10.00")
        settled(made.id)
        assert seller.figures[:2] == (8 * ONE, 2 * ONE)
        made.pay(invoice["id"], "30.00")
        settled(made.id)
        assert seller.figures[:2] == (8 * ONE, 8 * ONE)
        proven(made.id)

    def test_of_a_commitment_is_collected_as_its_invoice_is_paid(self) -> None:
        seller = make_seller()
        made = calling_on_account(seller)
        grant = made.customer.grant("5", kind="committed", source="commitment")
        made.use("5")
        settled(made.id)
        assert seller.figures[:2] == (4 * ONE, 0), grant
        proven(made.id)

    def test_has_terms_of_its_own_where_the_platform_says_so(self) -> None:
        seller = make_seller()
        plan = sell(fee("40"), credits=[{"amounts": {"USD": "20"}}])
        seller.share(fee_rate=500_000, plan=plan.plan_key)
        made = calling_on_account(seller)
        made.use("1")
        assert seller.figures[0] == units("0.8")
        subscribe(owner(made.id), plan)
        publish_due(seller.id)
        made.use("1")
        assert seller.figures[0] == units("1.3")
        proven(made.id)

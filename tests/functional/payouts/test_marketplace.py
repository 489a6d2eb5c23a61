"""Publishing, calling and earning through the API: what it does, what it refuses, and whom it tells what."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID, uuid4

import pytest

from payouts.operations.adjusting import adjust_due
from payouts.operations.publishing import publish_due
from tests.builders.books import balances, open_books
from tests.builders.gate import Customer, make_customer, units
from tests.builders.marketplace import (
    Seller,
    calling,
    make_seller,
    marketplace_violations,
    pass_time,
    settled,
    spend,
)
from tests.builders.orgs import caller, events_of, platform, unique
from tests.invariants import assert_sound


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def body(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


def events(organization: UUID) -> int:
    return len(events_of(organization))


class TestAPartner:
    def test_is_enrolled_by_the_platform_and_reads_itself(self) -> None:
        organization = open_books()
        made = body(
            platform().post(
                "/v1/partners",
                {
                    "organization": str(organization),
                    "holdback_days": 3,
                    "reserve_rate": "0.1",
                    "minimum": "20",
                },
            ),
            201,
        )
        assert (made["status"], made["holdback_days"], made["reserve_rate"]) == ("onboarding", 3, "0.1")
        own = caller(organization, "payouts:read")
        assert body(own.get("/v1/partner")) == made
        assert body(platform().get(f"/v1/partners/{organization}")) == made

    def test_is_nobody_who_was_not_enrolled(self) -> None:
        own = caller(open_books(), "payouts:read")
        for path in ("/v1/partner", "/v1/partner/balance", "/v1/partner/earnings"):
            assert problem(own.get(path)) == (404, "not_found")

    def test_is_not_enrolled_by_itself_and_not_read_by_others(self) -> None:
        seller, other = make_seller(), caller(open_books(), "payouts:read", "payouts:write", "admin")
        assert problem(other.post("/v1/partners", {"organization": str(seller.id)})) == (403, "forbidden")
        assert problem(other.get(f"/v1/partner?organization={seller.id}")) == (404, "not_found")
        assert problem(other.get(f"/v1/partner/balance?organization={seller.id}")) == (404, "not_found")

    def test_needs_the_scope(self) -> None:
        seller = make_seller()
        assert problem(caller(seller.id, "spend:read").get("/v1/partner/balance")) == (403, "forbidden")

    def test_is_held_and_released(self) -> None:
        seller = make_seller(holdback_days=0)
        customer = calling(seller)
        spend(customer, "10")
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        path = f"/v1/partners/{seller.id}"
        body(platform().patch(path, {"hold_reason": "we look at something"}))
        found = body(seller.api.get("/v1/partner/balance"))
        assert (found["balance"], found["held"], found["withdrawable"]) == ("8", "8", "0")
        assert "manual_hold" in [reason["code"] for reason in found["reasons"]]
        body(platform().patch(path, {"hold_reason": None}))
        assert body(seller.api.get("/v1/partner/balance"))["withdrawable"] == "8"

    def test_has_a_part_of_what_came_kept_back_as_reserve(self) -> None:
        seller = make_seller(holdback_days=0, reserve_rate=250_000)
        customer = calling(seller)
        spend(customer, "10")
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        found = body(seller.api.get("/v1/partner/balance"))
        assert (found["balance"], found["reserved"], found["withdrawable"]) == ("8", "2", "6")

    @pytest.mark.parametrize(
        "changes",
        [
            {"reserve_rate": "1.1"},
            {"reserve_rate": 0.1},
            {"holdback_days": 1000},
            {"minimum": "-1"},
            {"x": 1},
        ],
        ids=["above-one", "float", "days", "minimum", "unknown"],
    )
    def test_refuses_terms_that_make_no_sense_and_moves_nothing(self, changes: dict[str, Any]) -> None:
        seller = make_seller()
        before = events(seller.id)
        assert platform().patch(f"/v1/partners/{seller.id}", changes).status_code == 400
        assert events(seller.id) == before


class TestAListing:
    def test_is_published_changed_and_archived(self) -> None:
        seller, key = make_seller(), unique("listing")
        made = body(seller.api.post("/v1/listings", {"key": key, "name": "Writer"}), 201)
        assert (made["key"], made["status"], made["partner"]) == (key, "active", str(seller.id))
        changed = body(seller.api.patch(f"/v1/listings/{key}", {"description": "It writes."}))
        assert changed["description"] == "It writes."
        ended = body(seller.api.post(f"/v1/listings/{key}/archive"))
        assert ended["status"] == "archived"
        assert body(seller.api.post(f"/v1/listings/{key}/archive")) == ended
        assert problem(seller.api.patch(f"/v1/listings/{key}", {"name": "x"})) == (409, "invalid_transition")
        assert [one["key"] for one in body(seller.api.get("/v1/listings"))["data"]] == [
            key,
            seller.listing.key,
        ]

    def test_has_a_key_that_no_other_partner_has(self) -> None:
        first, second = make_seller(), make_seller()
        before = events(second.id)
        answer = second.api.post("/v1/listings", {"key": first.listing.key.upper(), "name": "Same"})
        assert problem(answer) == (409, "name_conflict")
        assert events(second.id) == before

    def test_is_another_partners_to_nobody_else(self) -> None:
        first, second = make_seller(), make_seller()
        for name in (first.listing.key, str(first.listing.id)):
            assert problem(second.api.get(f"/v1/listings/{name}")) == (404, "not_found")
            assert problem(second.api.patch(f"/v1/listings/{name}", {"name": "x"})) == (404, "not_found")
            assert problem(second.api.post(f"/v1/listings/{name}/archive")) == (404, "not_found")

    def test_is_published_once_under_a_key_of_the_call(self) -> None:
        seller, key, once = make_seller(), unique("listing"), unique()
        first, again = (
            seller.api.post("/v1/listings", {"key": key, "name": "Writer"}, key=once) for _ in range(2)
        )
        assert first.content == again.content

    def test_is_for_partners_only(self) -> None:
        own = caller(open_books(), "payouts:write")
        assert problem(own.post("/v1/listings", {"key": unique("l"), "name": "x"})) == (404, "not_found")


class TestAnAgent:
    def test_names_a_listing_by_key_or_id_and_gives_it_up(self) -> None:
        seller, customer = make_seller(), make_customer()
        admin = caller(customer.id, "admin")
        made = body(
            admin.post("/v1/agents", {"key": "writer", "name": "W", "listing": seller.listing.key}), 201
        )
        assert (made["listing"], made["listing_id"]) == (seller.listing.key, str(seller.listing.id))
        shown = body(admin.patch("/v1/agents/bot", {"listing": str(seller.listing.id)}))
        assert shown["listing"] == seller.listing.key
        assert body(admin.patch("/v1/agents/bot", {"listing": None}))["listing"] is None

    def test_does_not_name_what_is_unknown_archived_its_own_or_in_other_money(self) -> None:
        seller, foreign, customer = make_seller(), make_seller("EUR"), make_customer()
        admin = caller(customer.id, "admin")
        before = events(customer.id)
        wanted = {"not_found": "nothing", "currency_mismatch": foreign.listing.key}
        for code, name in wanted.items():
            answer = admin.patch("/v1/agents/bot", {"listing": name})
            assert answer.json()["code"] == code, answer.content
        body(seller.api.post(f"/v1/listings/{seller.listing.key}/archive"))
        assert problem(admin.patch("/v1/agents/bot", {"listing": seller.listing.key})) == (
            409,
            "invalid_transition",
        )
        assert events(customer.id) == before
        own = caller(seller.id, "admin")
        answer = own.post("/v1/agents", {"key": "a", "name": "A", "listing": seller.listing.key})
        assert problem(answer) == (409, "invalid_transition")

    def test_that_calls_no_more_listing_earns_nobody_anything(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "1")
        body(caller(customer.id, "admin").patch("/v1/agents/bot", {"listing": None}))
        spend(customer, "1")
        assert body(seller.api.get("/v1/partner/earnings"))["total"]["earned"] == "0.8"


class TestAPartnerThatCallsWhatItSharesIn:
    def named(self, seller: Seller, *weights: int) -> tuple[Customer, Any, dict[str, Any]]:
        """A customer that is a partner, too; its own key, and terms by which the seller (the first weight, 0: not at
        all) and this customer share."""
        customer = make_customer()
        body(platform().post("/v1/partners", {"organization": str(customer.id)}), 201)
        named = zip((seller.id, customer.id), weights, strict=True)
        splits = [{"partner": str(partner), "weight": weight} for partner, weight in named if weight]
        terms = {"organization": str(seller.id), "fee_rate": "0.2", "splits": splits}
        return customer, caller(customer.id, "admin"), terms

    def test_leaves_its_own_part_to_the_platform_and_the_others_theirs(self) -> None:
        seller = make_seller(holdback_days=0)
        customer, admin, terms = self.named(seller, 1, 3)
        body(platform().post("/v1/revenue-shares", terms), 201)
        body(admin.patch("/v1/agents/bot", {"listing": seller.listing.key}))

        spend(customer, "10")

        found = balances(customer.id)
        assert (found["partner_earned"], found["platform_fee"]) == (units("2"), units("8"))
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
        assert seller.figures == (units("2"),) * 4
        own = caller(customer.id, "payouts:read")
        assert body(own.get("/v1/partner/earnings"))["total"]["earned"] == "0"
        assert_sound(customer.id)
        assert marketplace_violations(customer.id) == []

    def test_earns_nothing_by_terms_that_name_it_later(self) -> None:
        seller = make_seller()
        customer, admin, terms = self.named(seller, 1, 1)
        body(admin.patch("/v1/agents/bot", {"listing": seller.listing.key}))
        spend(customer, "10")
        body(platform().post("/v1/revenue-shares", terms), 201)
        spend(customer, "10")
        assert seller.figures[0] == units("12")
        only = {**terms, "splits": terms["splits"][1:]}
        body(platform().post("/v1/revenue-shares", only), 201)
        spend(customer, "10")
        assert seller.figures[0] == units("12")
        own = caller(customer.id, "payouts:read")
        assert body(own.get("/v1/partner/earnings"))["total"]["earned"] == "0"
        assert_sound(customer.id)
        assert marketplace_violations(customer.id) == []

    def test_does_not_name_one_that_it_alone_shares_in(self) -> None:
        seller = make_seller()
        customer, admin, terms = self.named(seller, 0, 1)
        body(platform().post("/v1/revenue-shares", terms), 201)
        before = events(customer.id)
        refused = admin.patch("/v1/agents/bot", {"listing": seller.listing.key})
        assert problem(refused) == (409, "invalid_transition")
        assert events(customer.id) == before
        body(caller(calling(seller).id, "admin").patch("/v1/agents/bot", {"listing": seller.listing.key}))

    def test_counts_in_the_tiers_of_the_month_and_has_no_part_of_their_difference(self) -> None:
        seller = make_seller()
        customer, admin, terms = self.named(seller, 1, 1)
        tiers = [{"up_to": "10", "fee_rate": "0.3"}, {"up_to": None, "fee_rate": "0.1"}]
        terms.pop("fee_rate")
        # The caller is the first, by whose rows the volume is counted of everybody else.
        terms |= {"tiers": tiers, "splits": terms["splits"][::-1]}
        body(platform().post("/v1/revenue-shares", terms), 201)
        body(admin.patch("/v1/agents/bot", {"listing": seller.listing.key}))
        spend(customer, "11")
        assert seller.figures[0] == units("3.85")
        publish_due(seller.id)
        spend(customer, "1")
        assert seller.figures[0] == units("4.3")
        adjust_due()  # of other tests, if anything
        pass_time(seller.id, days=31)
        customer.pass_time(days=31)
        assert adjust_due() == 1
        assert seller.figures[0] == units("5.4")
        assert adjust_due() == 0
        assert_sound(customer.id)


class TestARevenueShare:
    def test_is_set_by_the_platform_and_in_force_at_the_next_call(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "1")
        made = body(
            platform().post("/v1/revenue-shares", {"organization": str(seller.id), "fee_rate": "0.5"}), 201
        )
        assert (made["fee_rate"], made["status"], made["listing"]) == ("0.5", "in_effect", None)
        spend(customer, "1")
        assert body(seller.api.get("/v1/partner/earnings"))["total"]["earned"] == "1.3"
        assert body(seller.api.get("/v1/revenue-shares"))["data"] == [made]

    def test_that_has_not_begun_is_withdrawn(self) -> None:
        seller = make_seller()
        path = f"?organization={seller.id}"
        later = {
            "organization": str(seller.id),
            "listing": seller.listing.key,
            "fixed": "0.1",
            "valid_from": "2099-01-01T00:00:00Z",
        }
        made = body(platform().post("/v1/revenue-shares", later), 201)
        assert made["status"] == "scheduled"
        ended = body(platform().post(f"/v1/revenue-shares/{made['id']}/withdraw{path}"))
        assert ended["status"] == "withdrawn"
        begun = body(
            platform().post("/v1/revenue-shares", {"organization": str(seller.id), "fee_rate": "0"}), 201
        )
        answer = platform().post(f"/v1/revenue-shares/{begun['id']}/withdraw{path}")
        assert problem(answer) == (409, "invalid_transition")

    @pytest.mark.parametrize(
        "terms",
        [
            {},
            {"fee_rate": "0.1", "fixed": "1"},
            {"fee_rate": "2"},
            {"fee_rate": "0.1", "valid_from": "2020-01-01T00:00:00Z"},
            {"tiers": [{"up_to": "10", "fee_rate": "0.1"}]},
            {"tiers": [{"up_to": "10", "fee_rate": "0.1"}, {"up_to": "5", "fee_rate": "0.1"}]},
            {"fee_rate": "0.1", "splits": [{"partner": str(uuid4()), "weight": 1}]},
            {"fee_rate": "0.1", "splits": []},
            {"fee_rate": "0.1", "listing": "of-somebody-else"},
        ],
        ids=["none", "two", "above", "past", "bounded", "falling", "no-partner", "nobody", "listing"],
    )
    def test_refuses_what_makes_no_sense_and_moves_nothing(self, terms: dict[str, Any]) -> None:
        seller = make_seller()
        before = events(seller.id)
        answer = platform().post("/v1/revenue-shares", {"organization": str(seller.id), **terms})
        assert answer.status_code in (400, 404), answer.content
        assert events(seller.id) == before

    def test_is_not_the_partners_to_set(self) -> None:
        seller = make_seller()
        answer = seller.api.post("/v1/revenue-shares", {"organization": str(seller.id), "fee_rate": "0"})
        assert problem(answer) == (403, "forbidden")


class TestEarnings:
    def test_are_one_call_with_what_can_be_withdrawn(self) -> None:
        seller = make_seller()
        first, second = calling(seller), calling(seller)
        spend(first, "1", "2")
        spend(second, "4")
        settled(first.id)
        first.pass_time(days=8)
        settled(first.id)
        found = body(seller.api.get("/v1/partner/earnings", group_by="customer"))
        assert found["total"] == {"gross": "7", "earned": "5.6", "calls": 3}
        assert sorted(one["earned"] for one in found["data"]) == ["2.4", "3.2"]
        now = found["withdrawable_now"]
        assert (now["earned"], now["collected"], now["past_holdback"], now["withdrawable"]) == (
            "5.6",
            "2.4",
            "2.4",
            "2.4",
        )
        assert {reason["code"]: reason["amount"] for reason in now["reasons"]}["not_collected"] == "3.2"

    def test_name_no_customer_and_no_agent_of_one(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "1")
        settled(customer.id)
        customer.pass_time(days=8)
        settled(customer.id)
        told = seller.api.get("/v1/partner/earnings", group_by="customer,agent,listing,month,day").content
        log = seller.api.get("/v1/event-log", limit="100").content
        entries = seller.api.get("/v1/entries", limit="100").content
        for text in (told, log, entries):
            assert str(customer.id).encode() not in text
            assert b"bot" not in text

    def test_are_filtered_and_paged(self) -> None:
        seller = make_seller()
        for amount in ("1", "2", "3"):
            spend(calling(seller), amount)
        assert body(seller.api.get("/v1/partner/earnings", to="2020-01-01"))["total"]["earned"] == "0"
        first = body(seller.api.get("/v1/partner/earnings", group_by="customer", limit="2"))
        rest = body(
            seller.api.get(
                "/v1/partner/earnings", group_by="customer", limit="2", cursor=first["next_cursor"]
            )
        )
        assert (len(first["data"]), len(rest["data"]), rest["next_cursor"]) == (2, 1, None)
        for query in ({"group_by": "name"}, {"from": "2026-02-01", "to": "2026-01-01"}, {"from": "x"}):
            assert seller.api.get("/v1/partner/earnings", **query).status_code == 400

    def test_are_written_as_csv(self) -> None:
        seller = make_seller()
        spend(calling(seller), "1.00000001")
        answer = seller.api.get("/v1/partner/earnings.csv", group_by="listing")
        rows = list(csv.reader(io.StringIO(answer.content.decode())))
        assert rows == [
            ["listing", "currency", "gross", "earned", "calls"],
            [seller.listing.key, "USD", "1.00000001", "0.80000001", "1"],
        ]

    def test_of_a_limited_key_are_not_told(self) -> None:
        seller: Seller = make_seller()
        assert problem(caller(open_books(), "admin").get("/v1/partner/earnings")) == (404, "not_found")
        assert body(caller(seller.id, "admin").get("/v1/partner/balance"))["earned"] == "0"

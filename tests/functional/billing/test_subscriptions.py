"""Subscriptions through the API: what each call does and refuses, under one key once, for whom, and dated when."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from orgs.operations.organizations import close_organization
from tests.builders.books import balances, open_books
from tests.builders.orgs import AUTHOR, events_of, platform, write
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import (
    PATH,
    act,
    acted,
    items_of,
    move_clock,
    now_of,
    owner,
    run_boundaries,
    sell,
    shown,
    subscribe,
)

DAY = timedelta(days=1)
CREDIT = [{"amounts": {"USD": "20"}}]


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestStarting:
    def test_owes_the_first_period_and_grants_its_credit(self) -> None:
        organization = open_books()
        plan = sell(fee("49"), seats("10"), metered(), credits=CREDIT)
        made = subscribe(owner(organization), plan, quantities={"seats": 3})
        assert (made["status"], made["plan"], made["number"]) == ("active", plan.plan_key, 1)
        assert made["quantities"] == {"seats": 3}
        assert items_of(organization) == [("recurring", 4900, "base"), ("licensed", 3000, "seats")]
        (credit,) = made["credits"]
        assert (credit["source"], credit["amount"], credit["paid"]) == ("allowance", "20", "20")
        # the credit's worth leaves deferred revenue for the customer's credit
        assert balances(organization) == {
            "customer_credit": 2_000_000_000,
            "deferred_revenue": -2_000_000_000,
        }
        assert made["next_at"] == made["period_end"]

    def test_gives_credit_above_the_fee_away(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell(fee("9"), credits=CREDIT))
        assert made["credits"][0]["paid"] == "9"
        assert balances(organization)["promotional_expense"] == -1_100_000_000

    def test_is_repeated_under_its_key(self) -> None:
        organization = open_books()
        who, plan = owner(organization), sell(fee("49"), credits=CREDIT)
        first = who.post(PATH, {"plan": plan.plan_key}, key="start")
        again = who.post(PATH, {"plan": plan.plan_key}, key="start")
        assert (again.status_code, again.content) == (201, first.content)
        assert len(items_of(organization)) == 1
        other = who.post(PATH, {"plan": plan.plan_key, "add_ons": []}, key="start")
        assert problem(other)[:2] == (422, "idempotency_key_reused")

    def test_needs_a_key(self) -> None:
        organization = open_books()
        answer = owner(organization).post(PATH, {"plan": sell().plan_key})
        assert problem(answer)[:2] == (400, "idempotency_key_required")

    def test_in_the_future_is_scheduled_and_starts_at_its_moment(self) -> None:
        organization = open_books()
        who = owner(organization)
        at = (now_of(organization) + 3 * DAY).replace(microsecond=0)
        made = subscribe(who, sell(), start_at=at.isoformat())
        assert (made["status"], made["period_start"], items_of(organization)) == ("scheduled", None, [])
        move_clock(organization, 5 * DAY)
        run_boundaries(organization)
        started = shown(who, made)
        assert (started["status"], started["period_start"]) == (
            "active",
            at.isoformat().replace("+00:00", "Z"),
        )

    def test_with_a_trial_costs_nothing_until_it_ends(self) -> None:
        organization = open_books()
        who, plan = owner(organization), sell(trial_days=14)
        made = subscribe(who, plan)
        assert (made["status"], made["trial_end"]) == ("trialing", made["period_end"])
        assert items_of(organization) == []
        move_clock(organization, 14 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["status"] == "active"
        assert items_of(organization) == [("recurring", 3000, "base")]

    def test_a_plan_is_tried_once(self) -> None:
        organization = open_books()
        who, plan = owner(organization), sell(trial_days=14)
        acted(who, subscribe(who, plan), "cancel", {"when": "now"})
        assert subscribe(who, plan)["status"] == "active"
        longer = who.post(PATH, {"plan": plan.plan_key, "trial_days": 14}, key="longer")
        assert problem(longer) == (400, "invalid_field", ["/trial_days"])
        given = {"plan": plan.plan_key, "trial_days": 30, "organization": str(organization)}
        assert platform().post(PATH, given, key=f"given-{organization}").json()["status"] == "trialing"

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"plan": "nothing"}, (404, "not_found", ["/plan"])),
            ({"currency": "EUR"}, (422, "currency_mismatch", ["/currency"])),
            ({"currency": "usd"}, (400, "invalid_currency", ["/currency"])),
            ({"quantities": {"seats": -1}}, (400, "invalid_field", ["/quantities/seats"])),
            ({"quantities": {"seats": "3"}}, (400, "invalid_field", ["/quantities/seats"])),
            ({"quantities": {"seats": 1.5}}, (400, "invalid_field", ["/quantities/seats"])),
            ({"quantities": {"seats": True}}, (400, "invalid_field", ["/quantities/seats"])),
            ({"quantities": {"seats": 1_000_001}}, (400, "invalid_field", ["/quantities/seats"])),
            ({"quantities": {"chairs": 1}}, (400, "unknown_field", ["/quantities/chairs"])),
            ({"quantities": {"base": 1}}, (400, "unknown_field", ["/quantities/base"])),
            ({"add_ons": ["sso"]}, (400, "invalid_field", ["/add_ons/0"])),
            ({"add_ons": ["base"]}, (400, "invalid_field", ["/add_ons/0"])),
            ({"coupons": ["NOTHING"]}, (404, "not_found", ["/coupons/0"])),
            ({"start_at": "2020-01-01T00:00:00Z"}, (400, "invalid_field", ["/start_at"])),
            ({"start_at": "2099-01-01T00:00:00"}, (400, "naive_datetime", ["/start_at"])),
            ({"ends_at": "2020-01-01T00:00:00Z"}, (400, "invalid_period", ["/ends_at"])),
            ({"trial_days": 1}, (400, "invalid_field", ["/trial_days"])),
            ({"trial_days": -1}, (400, "invalid_field", ["/trial_days"])),
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = open_books()
        plan = sell(fee("49"), seats("10"), credits=CREDIT)
        who, before = owner(organization), events_of(organization)
        answer = who.post(PATH, {"plan": plan.plan_key, **change}, key="k")
        assert problem(answer) == expected
        assert (events_of(organization), items_of(organization)) == (before, [])

    def test_to_a_draft_or_an_archived_plan_is_refused(self) -> None:
        organization = open_books()
        plan = sell()
        platform().post(f"/v1/plans/{plan.plan_key}/archive")
        answer = owner(organization).post(PATH, {"plan": plan.plan_key}, key="k")
        assert problem(answer) == (409, "invalid_transition", ["/plan"])

    def test_of_a_closed_organization_is_refused(self) -> None:
        organization = open_books()
        plan, who = sell(), owner(organization)
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        assert who.post(PATH, {"plan": plan.plan_key}, key="k").json()["code"] == "organization_closed"


class TestChanging:
    def test_at_once_credits_the_old_and_charges_the_new_plan(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30"), upgrade="invoice"))
        move_clock(organization, 10 * DAY)
        bigger = sell(fee("90"))
        changed = acted(who, made, "change", {"plan": bigger.plan_key})
        assert (changed["plan"], changed["pending_change"]) == (bigger.plan_key, None)
        kinds = [kind for kind, _, _ in items_of(organization)]
        assert kinds == ["recurring", "proration_credit", "proration_charge"]
        _, credit, charge = (amount for _, amount, _ in items_of(organization))
        assert charge == pytest.approx(-3 * credit, abs=2)

    def test_a_preview_equals_the_change_and_writes_nothing(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("49"), credits=CREDIT, upgrade="invoice"))
        move_clock(organization, 10 * DAY)
        bigger = sell(fee("99"), credits=[{"amounts": {"USD": "50"}}])
        body = {"plan": bigger.plan_key}
        before, books = events_of(organization), balances(organization)
        preview = who.post(f"{PATH}/{made['id']}/change/preview", body).json()
        assert (events_of(organization), balances(organization)) == (before, books)
        assert shown(who, made) == made
        acted(who, made, "change", body)
        # a second may pass between the two
        assert preview["effect"] == "changed"
        assert [item["kind"] for item in preview["items"]] == ["proration_credit", "proration_charge"]
        done = [amount for _, amount, _ in items_of(organization)][1:]
        assert [round(float(item["amount"]) * 100) for item in preview["items"]] == pytest.approx(done, abs=1)

    def test_a_downgrade_waits_for_the_end_of_the_period(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("90")))
        smaller = sell(fee("30"))
        waiting = acted(who, made, "change", {"plan": smaller.plan_key})
        assert waiting["plan"] == made["plan"]
        assert waiting["pending_change"]["plan"] == smaller.plan_key
        assert waiting["pending_change"]["at"] == made["period_end"]
        move_clock(organization, 31 * DAY)
        run_boundaries(organization)
        after = shown(who, made)
        assert (after["plan"], after["pending_change"]) == (smaller.plan_key, None)
        assert items_of(organization) == [("recurring", 9000, "base"), ("recurring", 3000, "base")]

    def test_one_change_waits_at_most_and_the_present_plan_drops_it(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("90")))
        one, two = sell(fee("30")), sell(fee("20"))
        acted(who, made, "change", {"plan": one.plan_key})
        second = acted(who, made, "change", {"plan": two.plan_key})
        assert second["pending_change"]["plan"] == two.plan_key
        dropped = acted(who, made, "change", {"plan": made["plan"]})
        assert (dropped["plan"], dropped["pending_change"]) == (made["plan"], None)

    def test_to_what_it_is_leaves_no_event(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("90")))
        before = events_of(organization)
        assert acted(who, made, "change", {"plan": made["plan"]}) == made
        assert events_of(organization) == before

    def test_at_a_date_to_come(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        at = (now_of(organization) + 10 * DAY).replace(microsecond=0).isoformat()
        bigger = sell(fee("90"))
        waiting = acted(who, made, "change", {"plan": bigger.plan_key, "at": at, "mode": "invoice"})
        assert waiting["next_at"] == at.replace("+00:00", "Z")
        move_clock(organization, 11 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["plan"] == bigger.plan_key
        assert len(items_of(organization)) == 3

    def test_of_seats_and_add_ons(self) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("30"), seats("10"), fee("5", "sso", addon=True), upgrade="invoice")
        made = subscribe(who, plan, quantities={"seats": 2})
        more = acted(who, made, "quantity", {"quantities": {"seats": 5}})
        assert more["quantities"] == {"seats": 5}
        with_sso = acted(who, made, "add-ons", {"add": ["sso"]})
        assert with_sso["add_ons"] == ["sso"]
        charged = {(kind, charge) for kind, _, charge in items_of(organization)[2:]}
        assert charged == {
            ("proration_credit", "seats"),
            ("proration_charge", "seats"),
            ("proration_charge", "sso"),
        }
        fewer = acted(who, made, "quantity", {"quantities": {"seats": 1}})
        assert fewer["pending_change"]["quantities"] == {"seats": 1}

    @pytest.mark.parametrize(
        ("verb", "body", "expected"),
        [
            ("change", {}, (400, "invalid_field", ["/plan"])),
            ("change", {"mode": "reset"}, (400, "invalid_field", ["/plan"])),
            ("change", {"plan": "nothing"}, (404, "not_found", ["/plan"])),
            ("change", {"plan": "$own", "mode": "later"}, (400, "invalid_field", ["/mode"])),
            ("change", {"plan": "$own", "at": "2020-01-01T00:00:00Z"}, (400, "invalid_field", ["/at"])),
            ("change", {"quantities": {"chairs": 1}}, (400, "unknown_field", ["/quantities/chairs"])),
            ("quantity", {"quantities": {}, "plan": "x"}, (400, "unknown_field", ["/plan"])),
            ("add-ons", {"add": []}, (400, "invalid_field", ["/add"])),
            ("add-ons", {"add": ["nothing"]}, (400, "invalid_field", ["/add_ons/0"])),
            ("add-ons", {"remove": ["nothing"]}, (400, "invalid_field", ["/remove"])),
            ("pause", {"resumes_at": "2020-01-01T00:00:00Z"}, (400, "invalid_field", ["/resumes_at"])),
            ("resume", None, (409, "invalid_transition", [])),
            ("uncancel", None, (409, "invalid_transition", [])),
            ("cancel", {"when": "at"}, (400, "invalid_field", ["/at"])),
            ("cancel", {"when": "never"}, (400, "invalid_field", ["/when"])),
            ("cancel", {"credit_unused": True}, (403, "forbidden", [])),
            ("coupons", {"coupon": "NOTHING"}, (404, "not_found", ["/coupon"])),
        ],
    )
    def test_is_refused_by_name_and_moves_nothing(
        self, verb: str, body: Any, expected: tuple[int, str, list[str]]
    ) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        before, items = events_of(organization), items_of(organization)
        given = {**body, "plan": made["plan"]} if body and body.get("plan") == "$own" else body
        assert problem(act(who, made, verb, given)) == expected
        assert (events_of(organization), items_of(organization), shown(who, made)) == (before, items, made)


class TestPausing:
    def test_bills_no_period_that_begins_in_it_and_resuming_bills_the_rest(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        assert acted(who, made, "pause", {})["status"] == "paused"
        move_clock(organization, 45 * DAY)
        resumed = acted(who, made, "resume")
        assert resumed["status"] == "active"
        (_, first, _), (kind, rest, _) = items_of(organization)
        assert (first, kind) == (3000, "proration_charge")
        assert 0 < rest < 3000

    def test_ends_by_itself_at_its_date(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        at = (now_of(organization) + 5 * DAY).isoformat()
        acted(who, made, "pause", {"resumes_at": at})
        move_clock(organization, 6 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["status"] == "active"
        assert len(items_of(organization)) == 1

    def test_credits_blocked_days_where_the_plan_says_so(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("31"), credit_blocked_time=True))
        acted(who, made, "pause", {})
        move_clock(organization, 10 * DAY)
        acted(who, made, "resume")
        (_, (kind, amount, _)) = items_of(organization)
        assert kind == "proration_credit"
        assert amount in (-1000, -1107, -1033)  # 10 of 31, 28 or 30 days

    def test_credits_minutes_around_midnight_as_one_day_however_many_nights(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("31"), credit_blocked_time=True))
        for _ in range(4):
            now = now_of(organization)
            midnight = (now + timedelta(hours=25)).replace(hour=0, minute=0, second=0, microsecond=0)
            move_clock(organization, midnight - timedelta(minutes=1) - now)
            acted(who, made, "pause", {})
            move_clock(organization, timedelta(minutes=2))
            acted(who, made, "resume")
            move_clock(organization, timedelta(hours=1))
        assert [kind for kind, _, _ in items_of(organization)] == ["recurring", "proration_credit"]

    @pytest.mark.parametrize("blocks", [True, False], ids=["credited", "kept"])
    def test_charges_no_blocked_days_in_arrears_where_the_plan_says_so(self, blocks: bool) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("30", timing="arrears"), fee("8", "other"), credit_blocked_time=blocks)
        made = subscribe(who, plan)
        acted(who, made, "pause", {})
        move_clock(organization, 10 * DAY)
        acted(who, made, "resume")
        move_clock(organization, 22 * DAY)
        run_boundaries(organization)
        start, end = (datetime.fromisoformat(made[name]) for name in ("period_start", "period_end"))
        days = (end.date() - start.date()).days
        owed = [(kind, amount) for kind, amount, charge in items_of(organization) if charge == "base"]
        some = Fraction(3000 * (days - 10), days) + Fraction(1, 2)
        assert owed == [("proration_charge", int(some)) if blocks else ("recurring", 3000)]

    def test_only_of_an_active_one(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(trial_days=5))
        assert problem(act(who, made, "pause", {"resumes_at": None}))[1] == "invalid_transition"


class TestCanceling:
    def test_at_the_end_of_the_period_unless_it_is_taken_back(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        waiting = acted(who, made, "cancel", {"reason": "too dear"})
        assert (waiting["status"], waiting["cancel_at"]) == ("active", made["period_end"])
        assert acted(who, made, "uncancel")["cancel_at"] is None
        acted(who, made, "cancel", {})
        move_clock(organization, 32 * DAY)
        run_boundaries(organization)
        ended = shown(who, made)
        assert (ended["status"], ended["ended_at"], ended["next_at"]) == (
            "canceled",
            made["period_end"],
            None,
        )
        assert len(items_of(organization)) == 1

    def test_now_with_credit_takes_back_unused_credit(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("49"), credits=CREDIT))
        move_clock(organization, 10 * DAY)
        answer = act(platform(), made, "cancel", {"when": "now", "credit_unused": True})
        assert answer.json()["status"] == "canceled"
        (_, (kind, amount, _)) = items_of(organization)
        assert kind == "proration_credit"
        taken = float(answer.json()["credits"][0]["taken_back"])
        assert 12 < taken < 14
        assert -3400 < amount < -3200  # two thirds of 49

    def test_keeps_metered_use_to_be_billed(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30"), metered()))
        move_clock(organization, 10 * DAY)
        acted(who, made, "cancel", {"when": "now"})
        last = events_of(organization)[-1][4]
        assert [(one["charge"], one["meter"]) for one in last["metered"]] == [("calls", "api_calls")]

    def test_is_the_end(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        acted(who, made, "cancel", {"when": "now"})
        for verb, body in (
            ("cancel", {"when": "now"}),
            ("change", {"plan": sell().plan_key}),
            ("pause", {"resumes_at": None}),
            ("uncancel", None),
        ):
            assert problem(act(who, made, verb, body))[:2] == (409, "invalid_transition")

    def test_expires_at_its_end(self) -> None:
        organization = open_books()
        who = owner(organization)
        ends_at = (now_of(organization) + 40 * DAY).replace(microsecond=0).isoformat()
        made = subscribe(who, sell(fee("30")), ends_at=ends_at)
        move_clock(organization, 50 * DAY)
        run_boundaries(organization)
        assert (shown(who, made)["status"], len(items_of(organization))) == ("expired", 2)


class TestHistory:
    def test_tells_every_change_with_its_items(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        acted(who, made, "pause", {"resumes_at": None})
        acted(who, made, "resume")
        path = f"{PATH}/{made['id']}/history"
        page = who.get(path, limit="2").json()
        assert [(row["version"], row["type"]) for row in page["data"]] == [
            (3, "subscription.resumed"),
            (2, "subscription.paused"),
        ]
        assert page["data"][1]["changes"]["status"] == ["active", "paused"]
        rest = who.get(path, limit="2", cursor=page["next_cursor"]).json()["data"]
        assert [row["type"] for row in rest] == ["subscription.started"]
        assert [item["amount"] for item in rest[0]["items"]] == ["30"]

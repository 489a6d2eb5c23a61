"""Subscriptions through the API: what each call does and refuses, under one key once, for whom, and dated when."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from common.ids import new_id
from orgs.operations.organizations import close_organization
from tests.builders.books import balances, open_books
from tests.builders.catalog import make_coupon
from tests.builders.orgs import AUTHOR, caller, events_of, make_agent, make_member, make_team, platform, write
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


class TestRepeating:
    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("change", {"plan": "$other", "mode": "invoice"}),
            ("change", {"plan": "$other", "mode": "reset"}),
            ("quantity", {"quantities": {"seats": 4}, "mode": "invoice"}),
            ("add-ons", {"add": ["sso"], "mode": "invoice"}),
            ("pause", {"resumes_at": None}),
            ("cancel", {"when": "now"}),
            ("cancel", {"when": "period_end"}),
            ("coupons", {"coupon": "$coupon"}),
        ],
    )
    def test_under_its_key_has_one_effect_and_the_same_answer(self, verb: str, body: dict[str, Any]) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("30"), seats("10"), fee("5", "sso", addon=True), credits=CREDIT)
        made = subscribe(who, plan)
        names = {
            "$other": sell(fee("60")).plan_key,
            "$coupon": make_coupon(duration="forever", percent="5").code,
        }
        given = {
            key: names.get(value, value) if isinstance(value, str) else value for key, value in body.items()
        }
        first = act(who, made, verb, given, key="again")
        assert first.status_code == 200, first.content
        events, items, books = events_of(organization), items_of(organization), balances(organization)
        second = act(who, made, verb, given, key="again")
        assert (second.status_code, second.content) == (200, first.content)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert (events_of(organization), items_of(organization), balances(organization)) == (
            events,
            items,
            books,
        )


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


class TestWhoMayDecide:
    @pytest.mark.parametrize(
        ("role", "scopes", "allowed"),
        [
            (None, ("admin",), True),
            (None, ("billing:write",), True),
            (None, ("billing:read",), False),
            (None, ("spend:write",), False),
            ("owner", ("billing:write",), True),
            ("owner", ("spend:read",), False),
            ("billing_admin", ("billing:write",), True),
            ("team_owner", ("admin",), False),
            ("member", ("spend:write",), False),
        ],
    )
    def test_is_an_owner_or_billing_administrator(
        self, role: str | None, scopes: tuple[str, ...], allowed: bool
    ) -> None:
        organization = open_books()
        make_team(organization, "mine", "Mine")
        team = "mine" if role == "team_owner" else None
        member = None if role is None else str(make_member(organization, role, team=team).id)
        who, plan = caller(organization, *scopes, member=member), sell()
        made = who.post(PATH, {"plan": plan.plan_key}, key="k")
        assert made.status_code == (201 if allowed else 403)
        name = subscribe(owner(organization), plan)
        for verb, body in (
            ("pause", {"resumes_at": None}),
            ("resume", None),
            ("cancel", {"when": "period_end"}),
            ("uncancel", None),
            ("change", {"plan": plan.plan_key}),
        ):
            assert act(who, name, verb, body).status_code == (200 if allowed else 403)

    def test_a_key_for_some_agents_neither_reads_nor_writes(self) -> None:
        organization = open_books()
        make_agent(organization)
        who = caller(organization, "billing:write", agents=["research-bot"])
        assert who.get(PATH).status_code == 403
        assert who.post(PATH, {"plan": sell().plan_key}, key="k").status_code == 403

    def test_reading_takes_the_scope(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell())
        reader = caller(organization, "billing:read")
        assert reader.get(PATH).json()["data"] == [made]
        assert reader.get(PATH, status="canceled").json()["data"] == []
        assert reader.get(f"{PATH}/{made['id']}/history").status_code == 200
        assert caller(organization, "spend:read").get(PATH).status_code == 403


class TestTenants:
    def test_another_organizations_subscription_is_answered_like_an_unknown_one(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell())
        other, before = owner(open_books()), events_of(organization)
        for name in (made["id"], str(new_id()), "nothing"):
            answers = [other.get(f"{PATH}/{name}"), other.get(f"{PATH}/{name}/history")]
            for verb, body in (
                ("change", {"plan": made["plan"]}),
                ("change/preview", {"plan": made["plan"]}),
                ("quantity", {"quantities": {"seats": 1}}),
                ("add-ons", {"add": ["x"]}),
                ("pause", {"resumes_at": None}),
                ("resume", None),
                ("cancel", {"when": "now"}),
                ("uncancel", None),
                ("coupons", {"coupon": "X"}),
            ):
                answers.append(other.post(f"{PATH}/{name}/{verb}", body, key=f"{name}{verb}"))
            assert {(a.status_code, a.json()["code"]) for a in answers} == {(404, "not_found")}
        assert events_of(organization) == before

    def test_the_platform_acts_for_the_organization_that_it_names(self) -> None:
        organization = open_books()
        plan = sell()
        body = {"plan": plan.plan_key, "organization": str(organization)}
        made = platform().post(PATH, body, key="p-1").json()
        assert made["organization"] == str(organization)
        assert platform().get(f"{PATH}/{made['id']}").json() == made
        assert platform().get(PATH, organization=str(organization)).json()["data"] == [made]
        assert act(platform(), made, "pause", {"resumes_at": None}).json()["status"] == "paused"
        assert platform().post(PATH, {"plan": plan.plan_key}, key="p-2").status_code == 400


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


class TestCoupons:
    def test_lower_the_first_period_when_named_at_the_start(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="50", duration="periods", periods=2)
        who = owner(organization)
        made = subscribe(who, sell(fee("30")), coupons=[coupon.code])
        assert [(one["code"], one["periods_left"]) for one in made["coupons"]] == [(coupon.code, 1)]
        assert [(one["billed"], one["discount"]) for one in made["fees"]] == [("15", "15")]
        discounts = []
        for _ in range(2):
            move_clock(organization, 31 * DAY)
            run_boundaries(organization)
            discounts.append(shown(who, made)["fees"][0]["discount"])
        assert discounts == ["15", "0"]
        (redemption,) = who.get("/v1/coupon-redemptions").json()["data"]
        assert redemption["subscription"] == made["id"]

    def test_redeemed_later_hold_from_the_next_period(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        coupon = make_coupon(amounts={"USD": "10"}, duration="once")
        applied = acted(who, made, "coupons", {"coupon": coupon.code})
        assert applied["fees"] == made["fees"]
        again = act(who, made, "coupons", {"coupon": coupon.code})
        assert problem(again)[:2] == (409, "coupon_not_redeemable")
        move_clock(organization, 31 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["fees"][0]["discount"] == "10"

    def test_without_an_amount_in_the_currency_are_refused_with_the_whole_start(self) -> None:
        organization = open_books()
        coupon = make_coupon(amounts={"EUR": "10"}, duration="once")
        who, plan = owner(organization), sell()
        before = events_of(organization)
        answer = who.post(PATH, {"plan": plan.plan_key, "coupons": [coupon.code]}, key="k")
        assert problem(answer)[:2] == (409, "coupon_not_redeemable")
        assert events_of(organization) == before

    def test_that_were_ended_lower_no_later_period(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="50", duration="forever")
        who = owner(organization)
        made = subscribe(who, sell(fee("30")), coupons=[coupon.code])
        (redemption,) = who.get("/v1/coupon-redemptions").json()["data"]
        ended = platform().post(f"/v1/coupon-redemptions/{redemption['id']}/end", key="end")
        assert ended.status_code == 200, ended.content
        move_clock(organization, 31 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["fees"][0]["discount"] == "0"

    def test_are_not_had_again_by_beginning_anew(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="100", duration="once")
        who, plan = owner(organization), sell(fee("30"))
        acted(who, subscribe(who, plan, coupons=[coupon.code]), "cancel", {"when": "now"})
        before = events_of(organization)
        again = who.post(PATH, {"plan": plan.plan_key, "coupons": [coupon.code]}, key="again")
        assert problem(again) == (409, "coupon_not_redeemable", ["/coupons/0"])
        assert events_of(organization) == before

    def test_of_the_whole_organization_lower_each_of_its_subscriptions(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="10", duration="forever")
        who = owner(organization)
        answer = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key="all")
        assert answer.status_code == 201, answer.content
        for _ in range(2):
            assert subscribe(who, sell(fee("30")))["fees"][0]["discount"] == "3"

    def test_of_the_whole_organization_are_none_of_a_subscription_beside(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="50", duration="forever")
        who, plan = owner(organization), sell(fee("30"))
        made = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key="all").json()
        running = subscribe(who, plan)

        def refused() -> None:
            before = events_of(organization)
            start = who.post(PATH, {"plan": plan.plan_key, "coupons": [coupon.code]}, key="start")
            assert problem(start)[:2] == (409, "coupon_not_redeemable")
            later = act(who, running, "coupons", {"coupon": coupon.code})
            assert problem(later)[:2] == (409, "coupon_not_redeemable")
            assert events_of(organization) == before

        refused()
        assert who.post(f"/v1/coupon-redemptions/{made['id']}/end", key="end").status_code == 200
        refused()

    def test_of_a_subscription_are_none_of_the_whole_organization_beside(self) -> None:
        organization = open_books()
        coupon = make_coupon(amounts={"USD": "10"}, duration="once")
        who = owner(organization)
        made = subscribe(who, sell(fee("30")), coupons=[coupon.code])

        def refused() -> None:
            before = events_of(organization)
            answer = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key="all")
            assert problem(answer)[:2] == (409, "coupon_not_redeemable")
            assert events_of(organization) == before

        refused()
        acted(who, made, "cancel", {"when": "now"})
        refused()

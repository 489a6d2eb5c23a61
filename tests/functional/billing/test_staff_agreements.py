"""Subscriptions, contracts, automatic top-ups and thresholds begun by the staff: the operations of the API, with its
refusals in the form."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.builders.billing import billed
from tests.builders.books import open_books, rows
from tests.builders.catalog import make_coupon
from tests.builders.contracts import paper
from tests.builders.orgs import events_of, platform
from tests.builders.staffed import form, operator, shown_in, staff, words
from tests.builders.subscribed import fee, seats
from tests.builders.subscriptions import now_of, owner, sell, shown, subscribe

SUBSCRIPTIONS, CONTRACTS = "/admin/billing/subscription/", "/admin/billing/contract/"
TOP_UPS, CYCLES = "/admin/billing/autotopup/", "/admin/billing/billingcycle/"
NOBODY = "01a21f15-a6d8-75f2-b4d6-447018e43b18"
NAMED = {"ids": lambda each: json.dumps(each) if isinstance(each, dict) else ""}


def subscriptions_of(organization: UUID) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = owner(organization).get("/v1/subscriptions").json()["data"]
    return found


class TestASubscription:
    def test_is_started_once_however_often_the_form_is_sent(self) -> None:
        organization, coupon = open_books(), make_coupon()
        plan = sell(fee("30"), seats("5"))
        user, client = operator("subscription")
        sent = form(
            organization=organization, plan=plan.plan_key, quantities='{"seats": 4}', coupons=coupon.code,
            trial_days="0",
        )  # fmt: skip
        for _ in range(2):
            assert client.post(f"{SUBSCRIPTIONS}add/", sent).status_code == 302
        (made,) = subscriptions_of(organization)
        assert (made["plan"], made["quantities"], made["status"]) == (plan.plan_key, {"seats": 4}, "active")
        assert [one["code"] for one in made["coupons"]] == [coupon.code]
        assert {event[3] for event in events_of(organization) if event[0].startswith("subscription.")} == {
            f"staff:{user.pk}"
        }

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"plan": "ghost"}, "There is no such plan."),
            ({"plan": ""}, "This field is required."),
            ({"quantities": '{"seats": -1}'}, "/quantities/seats"),
            ({"quantities": '{"ghost": 1}'}, "/quantities/ghost"),
            ({"quantities": "4"}, "no JSON object"),
            ({"add_ons": "ghost"}, "errornote"),
            ({"coupons": "ghost"}, "There is no such coupon."),
            ({"start_at": "2020-01-01T00:00:00Z"}, "errornote"),
            ({"trial_days": "731"}, "no integer from 0"),
            ({"organization": NOBODY}, "There is no such organization."),
        ],
        **NAMED,
    )
    def test_is_refused_in_the_form_and_nothing_moves(self, change: dict[str, str], said: str) -> None:
        organization, plan = open_books(), sell(fee("30"), seats("5"))
        _, client = operator("subscription")
        before = events_of(organization)
        sent = {**form(organization=organization, plan=plan.plan_key), **change}
        answer = client.post(f"{SUBSCRIPTIONS}add/", sent)
        assert answer.status_code == 200
        assert said in words(answer)
        assert events_of(organization) == before

    def test_changes_its_quantities_now_and_its_plan_later(self) -> None:
        organization, other = open_books(), sell(fee("20"))
        who = owner(organization)
        made = subscribe(who, sell(fee("30"), seats("5")), quantities={"seats": 2})
        user, client = operator("subscription")
        page = f"{SUBSCRIPTIONS}{made['id']}/change/"
        sent = form(quantities='{"seats": 4}', mode="invoice")
        before = events_of(organization)
        asked = client.post(page, sent)
        assert "Seats" in words(asked)
        assert events_of(organization) == before
        for _ in range(2):
            assert client.post(page, {**sent, "shown": shown_in(asked)}).status_code == 302
        assert shown(who, made)["quantities"] == {"seats": 4}
        assert len(events_of(organization)) == len(before) + 1
        sent = form(plan=other.plan_key, mode="next_period")
        assert client.post(page, {**sent, "shown": shown_in(client.post(page, sent))}).status_code == 302
        assert shown(who, made)["pending_change"]["plan"] == other.plan_key
        assert events_of(organization)[-1][3] == f"staff:{user.pk}"
        before = events_of(organization)
        for change, said in (
            ({}, "Name a plan, quantities or add-ons."),
            ({"plan": "ghost"}, "There is no such plan."),
            ({"quantities": '{"seats": 4}', "at": "2020-01-01T00:00:00Z"}, "errornote"),
            ({"quantities": '{"seats": 4}', "mode": "never"}, "valid choice"),
        ):
            answer = words(client.post(page, form(**change)))
            assert said in answer
            assert "Nothing is saved yet." not in answer
        assert events_of(organization) == before

    def test_ends_at_a_moment_and_then_has_no_form(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        _, client = operator("subscription")
        address = f"{SUBSCRIPTIONS}?organization={organization}"
        then = (now_of(organization) + timedelta(days=3)).replace(microsecond=0)
        chosen = {"action": "cancel_then", "_selected_action": [made["id"]], "reason": "agreed"}
        assert "1 done" in words(client.post(address, {**chosen, "at": then.isoformat()}, follow=True))
        assert shown(who, made)["cancel_at"] == then.isoformat().replace("+00:00", "Z")
        before = events_of(organization)
        assert "RFC 3339" in words(client.post(address, {**chosen, "at": "soon"}, follow=True))
        assert events_of(organization) == before
        client.post(address, {"action": "cancel_now", "_selected_action": [made["id"]]})
        page = f"{SUBSCRIPTIONS}{made['id']}/change/"
        assert 'name="_save"' not in words(client.get(page))
        assert client.post(page, form(plan="x")).status_code == 403


class TestAContract:
    def test_is_drafted_revised_and_put_into_force(self) -> None:
        organization = open_books()
        user, client = operator("contract")
        sent = form(organization=organization, definition=json.dumps(paper(organization, name="First")))
        for _ in range(2):
            assert client.post(f"{CONTRACTS}add/", sent).status_code == 302
        ((made,),) = rows("SELECT id FROM contracts WHERE organization = %s", organization)
        page = f"{CONTRACTS}{made}/change/"
        assert '"name": "First"' in words(client.get(page))
        revised = form(definition=json.dumps(paper(organization, name="Second")))
        assert client.post(page, revised).status_code == 302
        chosen = {"action": "activate", "_selected_action": [str(made)]}
        assert "1 done" in words(client.post(CONTRACTS, chosen, follow=True))
        found = platform().get(f"/v1/contracts/{made}").json()
        assert (found["name"], found["status"]) == ("Second", "active")
        told = [event for event in events_of(organization) if event[0].startswith("contract.")]
        assert {event[3] for event in told} == {f"staff:{user.pk}"}
        assert 'name="_save"' not in words(client.get(page))
        assert client.post(page, revised).status_code == 403

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"definition": "{"}, "no JSON object"),
            ({"definition": "{}"}, "/definition/currency"),
            ({"definition": '{"colour": 1}'}, "/definition/colour"),
            ({"organization": NOBODY}, "There is no such organization."),
            ({"organization": "x"}, "valid UUID"),
        ],
        **NAMED,
    )
    def test_is_refused_in_the_form_and_nothing_moves(self, change: dict[str, str], said: str) -> None:
        organization = open_books()
        _, client = operator("contract")
        before = events_of(organization)
        sent = form(organization=organization, definition=json.dumps(paper(organization)))
        assert said in words(client.post(f"{CONTRACTS}add/", {**sent, **change}))
        euros = json.dumps(paper(organization, currency="EUR"))
        assert "errornote" in words(client.post(f"{CONTRACTS}add/", {**sent, "definition": euros}))
        assert events_of(organization) == before


def rule(**given: Any) -> dict[str, str]:
    return form(
        **{
            "enabled": "on",
            "threshold": "10",
            "amount": "50",
            "currency": "USD",
            "cool_off_seconds": "60",
            **given,
        }
    )


class TestAnAutomaticTopUp:
    def test_is_set_for_a_customer_and_ended(self) -> None:
        organization = open_books()
        user, client = operator("autotopup")
        assert (
            client.post(f"{TOP_UPS}add/", rule(organization=organization, monthly_cap="200")).status_code
            == 302
        )
        shown_rule = platform().get(f"/v1/auto-top-up?organization={organization}").json()
        assert (shown_rule["enabled"], shown_rule["amount"], shown_rule["monthly_cap"]) == (True, "50", "200")
        ((made,),) = rows("SELECT id FROM auto_top_ups WHERE organization = %s", organization)
        page = f"{TOP_UPS}{made}/change/"
        assert 'value="200"' in words(client.get(page))
        assert client.post(page, rule(enabled=None)).status_code == 302
        shown_rule = platform().get(f"/v1/auto-top-up?organization={organization}").json()
        assert (shown_rule["enabled"], shown_rule["monthly_cap"]) == (False, None)
        assert events_of(organization)[-1][3] == f"staff:{user.pk}"
        before = events_of(organization)
        for change in ({"amount": "0"}, {"amount": "1.005"}, {"currency": "EUR"}, {"threshold": "x"},
                       {"cool_off_seconds": "-1"}, {"monthly_cap": "1"}):  # fmt: skip
            answer = client.post(page, {**rule(), **change})
            assert (answer.status_code, "errornote" in words(answer)) == (200, True), change
        assert events_of(organization) == before


class TestAThreshold:
    def test_is_set_and_taken_away(self) -> None:
        made = billed()
        user, client = staff("view_billingcycle", "change_billingcycle")
        page = f"{CYCLES}{made.id}/change/"
        address = f"/v1/billing-cycle?organization={made.id}"
        assert client.post(page, form(thresholds="100\n200", recurring_threshold="250")).status_code == 302
        shown = platform().get(address).json()
        assert (shown["thresholds"], shown["recurring_threshold"]) == (["100", "200"], "250")
        seen = words(client.get(page))
        assert 'value="250"' in seen and "100\n200</textarea>" in seen.replace("\r", "")
        assert "thresholds" in words(client.get(CYCLES))
        assert events_of(made.id)[-1][3] == f"staff:{user.pk}"
        before = events_of(made.id)
        for wrong in (form(thresholds="200\n100"), form(recurring_threshold="-1")):
            assert "errornote" in words(client.post(page, wrong))
        assert events_of(made.id) == before
        assert client.post(page, form(thresholds="", recurring_threshold="")).status_code == 302
        shown = platform().get(address).json()
        assert (shown["thresholds"], shown["recurring_threshold"]) == ([], None)
        _, other = staff("view_billingcycle")
        assert other.post(page, form(recurring_threshold="1")).status_code == 403
        assert client.get(f"{CYCLES}add/").status_code == 403

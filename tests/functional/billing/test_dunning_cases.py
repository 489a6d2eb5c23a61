"""Dunning over HTTP and in the admin: what finance may do, what is refused, and policies."""

import secrets
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from billing.rules.dunning.policy import DEFAULT, write_policy
from tests.builders.dunning import DAY, Dunned, in_arrears
from tests.builders.orgs import caller, platform, unique
from tests.builders.subscriptions import now_of, owner, sell, subscribe
from tests.invariants import Still

STEPS = [{"day": 1, "action": "retry"}, {"day": 1, "action": "suspend"}]
PATH = "/v1/dunning-policies"


def staff(*permissions: str) -> Client:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def new_policy(**given: Any) -> Any:
    body = {"key": f"p-{secrets.token_hex(4)}", "name": "Strict", "policy": {"steps": STEPS}, **given}
    return platform().post(PATH, body, key=unique())


class TestACase:
    def test_shows_what_is_unpaid_what_comes_and_what_happened(self) -> None:
        dunned = in_arrears()
        shown = dunned.made.reader.get(f"/v1/dunning-cases/{dunned.case().id}").json()
        assert (shown["state"], shown["standing"], shown["policy_id"]) == ("past_due", "clear", None)
        assert [(one["number"], one["due"]) for one in shown["unpaid"]] == [
            (dunned.made.only()["number"], "12.50")
        ]
        assert [(step["day"], step["action"]) for step in shown["upcoming"]][:2] == [
            (2, "retry"),
            (7, "retry"),
        ]
        assert shown["policy"] == write_policy(DEFAULT)
        (first,) = shown["timeline"]
        assert (first["event"], first["trigger"], first["actor"], first["notice"]) == (
            "opened", "timer", "system:dunning", "past_due",
        )  # fmt: skip

    def test_is_listed_by_state_for_finance_and_its_own_customer(self) -> None:
        dunned = in_arrears()
        listed = dunned.made.reader.get("/v1/dunning-cases", open="true", state="past_due").json()["data"]
        assert [one["id"] for one in listed] == [str(dunned.case().id)]
        assert dunned.made.reader.get("/v1/dunning-cases", open="false").json()["data"] == []
        everybody = platform().get("/v1/dunning-cases", limit="100").json()["data"]
        assert str(dunned.case().id) in {one["id"] for one in everybody}

    @pytest.mark.parametrize("verb", ["extend", "exempt", "end-exemption", "move"])
    def test_is_moved_by_finance_alone(self, verb: str) -> None:
        dunned = in_arrears()
        body = {"reason": "please", "days": 3, "to": "closed"}
        wanted = {"end-exemption": ["reason"], "move": ["reason", "to"]}.get(verb, ["reason", "days"])
        before, customer = dunned.case(), caller(dunned.id, "admin", "billing:write", "billing:read")
        answer = customer.post(
            f"/v1/dunning-cases/{before.id}/{verb}", {name: body[name] for name in wanted}, key=unique()
        )
        assert answer.status_code == 403
        assert dunned.case() == before

    def test_is_unknown_to_others(self) -> None:
        dunned, other = in_arrears(), in_arrears()
        path = f"/v1/dunning-cases/{dunned.case().id}"
        assert other.made.reader.get(path).status_code == 404
        answer = platform().post(
            f"{path}/move?organization={other.id}", {"to": "closed", "reason": "x"}, key=unique()
        )
        assert answer.status_code == 404
        assert dunned.state() == "past_due"

    @pytest.mark.parametrize(
        ("verb", "body", "status"),
        [
            ("extend", {"days": 31, "reason": "long"}, 400),
            ("extend", {"days": 0, "reason": "none"}, 400),
            ("extend", {"days": 3}, 400),
            ("extend", {"days": 3, "reason": " "}, 400),
            ("extend", {"days": "3", "reason": "text"}, 400),
            ("extend", {"days": 3, "reason": "x", "more": 1}, 400),
            ("exempt", {"days": 31, "reason": "long"}, 400),
            ("move", {"to": "past_due", "reason": "back"}, 400),
            ("move", {"to": "closed"}, 400),
            ("end-exemption", {"reason": "there is none"}, 409),
        ],
        ids=[
            "too long", "no days", "no reason", "empty reason", "text", "unknown field", "too long an exemption",
            "back", "no reason to move", "none runs",
        ],
    )  # fmt: skip
    def test_refuses_and_moves_nothing(self, verb: str, body: dict[str, Any], status: int) -> None:
        dunned = in_arrears()
        before = dunned.case()
        with dunned.made.still():
            answer = platform().post(f"/v1/dunning-cases/{before.id}/{verb}", body, key=unique())
        assert answer.status_code == status, answer.content
        assert dunned.case() == before

    def test_moves_once_however_often_the_call_is_repeated(self) -> None:
        dunned, key = in_arrears(), unique()
        path = f"/v1/dunning-cases/{dunned.case().id}/extend"
        body = {"days": 5, "reason": "holidays"}
        first = platform().post(path, body, key=key)
        again = platform().post(path, body, key=key)
        assert (first.status_code, again.content) == (200, first.content)
        assert dunned.case().shift_days == 5

    def test_is_put_off_by_no_more_in_all_than_its_policy_says(self) -> None:
        dunned = in_arrears()
        assert dunned.finance("extend", days=20).status_code == 200
        with Still(dunned.id):
            assert dunned.finance("extend", days=11).status_code == 400
        assert dunned.finance("extend", days=10).status_code == 200

    def test_is_put_off_and_then_goes_on(self) -> None:
        dunned = in_arrears(has_method=False)
        shown = dunned.finance("extend", days=30).json()
        assert shown["upcoming"][2]["action"] == "throttle"
        dunned.on(dunned.case().anchor_at + 36 * DAY)
        assert dunned.state() == "past_due"
        dunned.on(datetime.fromisoformat(shown["upcoming"][2]["at"]))
        assert dunned.state() == "grace"


class TestSubscriptions:
    def test_are_past_due_canceled_and_not_revived(self) -> None:
        dunned = in_arrears(has_method=False)
        who = owner(dunned.id)
        first = subscribe(who, sell())
        dunned.made.customer.pass_time(hours=2)
        dunned.made.run()
        invoice = next(one for one in dunned.made.invoices() if one["id"] not in dunned.invoices)
        dunned.invoices.append(invoice["id"])
        dunned.on(max(dunned.due_at(1), now_of(dunned.id)) + DAY)
        assert who.get(f"/v1/subscriptions/{first['id']}").json()["status"] == "past_due"
        assert dunned.finance("move", to="canceled").status_code == 200
        dunned.made.run()
        assert who.get(f"/v1/subscriptions/{first['id']}").json()["status"] == "canceled"
        dunned.pay_all()
        assert who.get(f"/v1/subscriptions/{first['id']}").json()["status"] == "canceled"

    def test_recover_with_the_payment(self) -> None:
        dunned = in_arrears(has_method=False)
        who = owner(dunned.id)
        first = subscribe(who, sell())
        dunned.made.customer.pass_time(hours=2)
        dunned.made.run()
        invoice = next(one for one in dunned.made.invoices() if one["id"] not in dunned.invoices)
        dunned.invoices.append(invoice["id"])
        dunned.on(max(dunned.due_at(1), now_of(dunned.id)) + DAY)
        dunned.pay_all()
        assert dunned.state() == "closed"
        assert who.get(f"/v1/subscriptions/{first['id']}").json()["status"] == "active"


class TestAPolicy:
    def test_is_made_changed_in_versions_and_archived(self) -> None:
        made = new_policy()
        assert (made.status_code, made.json()["number"]) == (201, 1), made.content
        key = made.json()["key"]
        changed = platform().patch(f"{PATH}/{key}", {"policy": {"steps": STEPS[:1]}, "name": "Mild"})
        assert (changed.status_code, changed.json()["number"], changed.json()["name"]) == (200, 2, "Mild")
        assert platform().patch(f"{PATH}/{key}", {"name": "Milder"}).json()["number"] == 2
        versions = platform().get(f"{PATH}/{key}/versions").json()["data"]
        assert [(one["number"], len(one["policy"]["steps"])) for one in versions] == [(2, 1), (1, 2)]
        assert platform().post(f"{PATH}/{key}/archive").json()["status"] == "archived"
        assert platform().post(f"{PATH}/{key}/archive").json()["status"] == "archived"
        assert platform().patch(f"{PATH}/{key}", {"name": "x"}).status_code == 409
        assert platform().get(f"{PATH}/{key}").json()["number"] == 2

    def test_of_a_plan_is_frozen_in_the_cases_of_its_customers(self) -> None:
        plan = sell()
        made = new_policy(plans=[plan.plan_key]).json()
        dunned = in_arrears(has_method=False)
        dunned.pay()
        subscribe(owner(dunned.id), plan)
        dunned.made.customer.pass_time(hours=2)
        dunned.made.run()
        invoice = next(one for one in dunned.made.invoices() if one["id"] not in dunned.invoices)
        dunned.invoices.append(invoice["id"])
        dunned.on(max(dunned.due_at(1), now_of(dunned.id)) + DAY / 24)
        assert (str(dunned.case().policy_id), dunned.case().policy_number) == (made["id"], 1)
        platform().patch(f"{PATH}/{made['key']}", {"policy": {"steps": []}})
        dunned.on_day(1, fails=False)
        assert dunned.state() == "suspended"

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ({"plans": ["no-such-plan"]}, 400),
            ({"contracts": ["01890a5d-ac96-774b-bcce-b302099a8057"]}, 400),
            ({"contracts": ["x"]}, 400),
            ({"policy": {"steps": [{"day": -1, "action": "retry"}]}}, 400),
            ({"policy": {}}, 400),
            ({"policy": []}, 400),
            ({"key": "Not a key"}, 400),
            ({"other": 1}, 400),
        ],
        ids=["plan", "contract", "no id", "day", "no steps", "list", "key", "field"],
    )
    def test_that_makes_no_sense_is_refused(self, given: dict[str, Any], status: int) -> None:
        assert new_policy(**given).status_code == status

    def test_is_the_only_one_of_a_plan_and_of_its_key(self) -> None:
        plan = sell()
        made = new_policy(plans=[plan.plan_key]).json()
        assert new_policy(plans=[plan.plan_key]).status_code == 409
        assert new_policy(key=made["key"]).status_code == 409
        platform().post(f"{PATH}/{made['key']}/archive")
        assert new_policy(plans=[plan.plan_key]).status_code == 201

    def test_is_the_platforms_alone(self) -> None:
        dunned = in_arrears()
        customer = caller(dunned.id, "admin", "billing:read", "billing:write")
        assert customer.get(PATH).status_code == 403
        assert customer.post(PATH, {"key": "x"}, key=unique()).status_code == 403

    def test_is_tried_before_it_is_saved(self) -> None:
        body = {"policy": {"steps": STEPS}, "due_at": "2026-03-28T01:30:00Z", "time_zone": "Europe/Berlin"}
        answer = platform().post(f"{PATH}/preview", body)
        assert answer.status_code == 200, answer.content
        told = [(one["event"], one["day"], one["at"]) for one in answer.json()["timeline"]]
        assert told == [
            ("opened", 0, "2026-03-28T01:30:00Z"),
            ("retried", 1, "2026-03-29T01:00:00Z"),
            ("payment_failed", 1, "2026-03-29T01:00:00Z"),
            ("suspended", 1, "2026-03-29T01:00:00Z"),
        ]
        wrong = platform().post(f"{PATH}/preview", {**body, "policy": {"steps": STEPS[::-1]}})
        assert wrong.status_code == 400


class TestTheAdmin:
    LIST = "/admin/billing/dunningcase/"

    def press(self, dunned: Dunned, client: Client, action: str, **given: str) -> str:
        chosen = {"action": action, "_selected_action": [str(dunned.cases()[0].id)], **given}
        return client.post(self.LIST, chosen, follow=True).content.decode()

    def test_moves_by_the_same_commands_with_a_reason(self) -> None:
        dunned, client = in_arrears(), staff("view_dunningcase", "change_dunningcase")
        assert "reason is required" in self.press(dunned, client, "move", to="suspended")
        assert dunned.state() == "past_due"
        self.press(dunned, client, "move", to="suspended", reason="fraud")
        assert (dunned.state(), dunned.call()) == ("suspended", (403, "suspended"))
        self.press(dunned, client, "exempt", days="5", reason="they called")
        assert dunned.call() == (201, None)
        self.press(dunned, client, "end_exemption", reason="they did not pay")
        assert "for how many days" in self.press(dunned, client, "extend", reason="x")
        self.press(dunned, client, "extend", days="5", reason="holidays")
        assert dunned.case().shift_days == 10
        page = client.get(f"{self.LIST}{dunned.case().id}/change/").content.decode()
        assert "suspended; access none, cannot spend" in page
        assert "fraud" in page

    def test_lets_readers_only_read(self) -> None:
        dunned, client = in_arrears(), staff("view_dunningcase", "view_dunningpolicy", "view_dunningnotice")
        self.press(dunned, client, "move", to="closed", reason="x")
        assert dunned.state() == "past_due"
        for page in ("dunningpolicy", "dunningnotice"):
            assert client.get(f"/admin/billing/{page}/").status_code == 200
        assert staff().get(self.LIST).status_code == 403

    def test_shows_what_a_policy_would_do(self) -> None:
        made = new_policy().json()
        client = staff("view_dunningpolicy", "change_dunningpolicy")
        page = client.get(f"/admin/billing/dunningpolicy/{made['id']}/change/").content.decode()
        assert "day 1: suspended" in page
        client.post(
            "/admin/billing/dunningpolicy/",
            {"action": "archive", "_selected_action": [made["id"]]},
            follow=True,
        )
        assert platform().get(f"{PATH}/{made['key']}").json()["status"] == "archived"

"""The staff's pages of overrides and approvals: everything by the operations, with their own name as actor."""

from typing import Any

import pytest

from tests.builders.orgs import events_of
from tests.builders.spend import Spender, spender
from tests.functional.spend.test_admin import staff

WAITS = [{"percent": 50, "action": "require_approval"}, {"percent": 100, "action": "block"}]


def waiting(acme: Spender) -> dict[str, Any]:
    acme.budget(limit="10", thresholds=WAITS)
    acme.call("5")
    (found,) = acme.client.get("/v1/approvals").json()["data"]
    shown: dict[str, Any] = found
    return shown


def raised(acme: Spender) -> dict[str, Any]:
    body = {"amount": "5", "run": "r-1", "reason": "closing"}
    answer = acme.client.post(f"/v1/budgets/{acme.budget()['id']}/override", body)
    shown: dict[str, Any] = answer.json()
    return shown


class TestOverrides:
    FORM: dict[str, Any] = {
        "amount": "5", "limit": "", "target": "", "run": "r-1", "until": "", "why": "closing",
    }  # fmt: skip

    def test_are_made_by_the_staff_with_their_name_as_actor(self) -> None:
        acme = spender("0")
        budget = acme.budget()["id"]
        user, client = staff("add_budgetoverride", "view_budgetoverride")
        answer = client.post("/admin/spend/budgetoverride/add/", {**self.FORM, "budget_id": budget})
        assert answer.status_code == 302
        (made,) = acme.client.get(f"/v1/budgets/{budget}/overrides").json()["data"]
        assert (made["amount"], made["run"], made["created_by"]) == ("5", "r-1", f"staff:{user.pk}")
        assert events_of(acme.organization)[-1][3] == f"staff:{user.pk}"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"amount": "1e3"}, b"string of digits"),
            ({"limit": "9"}, b"either an amount or a limit"),
            ({"run": ""}, b"An override ends"),
            ({"amount": "", "limit": "1"}, b"not above"),
            ({"target": "bot"}, b"one target only"),
            ({"budget_id": "01900000-0000-7000-8000-0000000000ff"}, b"no such budget"),
        ],
    )
    def test_are_refused_by_the_rules_of_the_api(self, change: dict[str, str], said: bytes) -> None:
        acme = spender("0")
        budget = acme.budget()["id"]
        _, client = staff("add_budgetoverride", "view_budgetoverride")
        before = events_of(acme.organization)
        form = {**self.FORM, "budget_id": budget, **change}
        answer = client.post("/admin/spend/budgetoverride/add/", form, follow=True)
        assert said in answer.content
        assert events_of(acme.organization) == before

    def test_are_listed_and_ended_with_a_reason(self) -> None:
        acme = spender("0")
        made = raised(acme)
        user, client = staff("view_budgetoverride", "change_budgetoverride")
        page = "/admin/spend/budgetoverride/"
        assert b"5 USD" in client.get(page, {"q": made["id"]}).content
        action = {"action": "end", "_selected_action": [made["id"]]}
        assert b"Give a reason" in client.post(page, action, follow=True).content
        client.post(page, {**action, "reason": "enough"})
        shown = acme.client.get(f"/v1/budget-overrides/{made['id']}").json()
        assert (shown["status"], shown["ended_by"], shown["end_reason"]) == (
            "ended",
            f"staff:{user.pk}",
            "enough",
        )

    def test_are_read_only_for_staff_that_may_only_look(self) -> None:
        acme = spender("0")
        made = raised(acme)
        _, client = staff("view_budgetoverride")
        page = "/admin/spend/budgetoverride/"
        shown = client.get(f"{page}{made['id']}/change/")
        assert (shown.status_code, b'name="_save"' in shown.content) == (200, False)
        assert client.get(f"{page}add/").status_code == 403
        client.post(page, {"action": "end", "_selected_action": [made["id"]], "reason": "x"})
        assert acme.client.get(f"/v1/budget-overrides/{made['id']}").json()["status"] == "active"


class TestApprovals:
    @pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
    def test_are_decided_on_their_page(self, decision: str, status: str) -> None:
        acme = spender()
        asked = waiting(acme)
        user, client = staff("view_approval", "change_approval")
        page = f"/admin/spend/approval/{asked['id']}/change/"
        shown = client.get(page)
        assert (b"50 %" in shown.content, b"5 of 10 USD" in shown.content) == (True, True)
        assert client.post(page, {"decision": decision, "why": ""}).status_code == 200
        assert client.post(page, {"decision": decision, "why": "looked at it"}).status_code == 302
        found = acme.client.get(f"/v1/approvals/{asked['id']}").json()
        assert (found["status"], found["decided_by"], found["reason"]) == (
            status,
            f"staff:{user.pk}",
            "looked at it",
        )
        assert b'name="_save"' not in client.get(page).content

    @pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
    def test_are_decided_from_the_list_with_a_reason(self, decision: str, status: str) -> None:
        acme = spender()
        asked = waiting(acme)
        _, client = staff("view_approval", "change_approval")
        page = "/admin/spend/approval/"
        action = {"action": decision, "_selected_action": [asked["id"]]}
        assert b"Give a reason" in client.post(page, action, follow=True).content
        client.post(page, {**action, "reason": "fine"})
        assert acme.client.get(f"/v1/approvals/{asked['id']}").json()["status"] == status
        assert b"already" in client.post(page, {**action, "reason": "again"}, follow=True).content

    def test_that_come_too_late_say_why(self) -> None:
        acme = spender()
        asked = waiting(acme)
        acme.client.patch(f"/v1/budgets/{asked['budget_id']}", {"limit": "20"})
        _, client = staff("view_approval", "change_approval")
        page = f"/admin/spend/approval/{asked['id']}/change/"
        answer = client.post(page, {"decision": "approve", "why": "late"}, follow=True)
        assert b"changed since" in answer.content

    def test_stay_as_they_are_for_staff_that_may_only_look(self) -> None:
        acme = spender()
        asked = waiting(acme)
        _, client = staff("view_approval")
        page = f"/admin/spend/approval/{asked['id']}/change/"
        assert b'name="_save"' not in client.get(page).content
        assert client.post(page, {"decision": "approve", "why": "x"}).status_code == 403
        assert acme.client.get(f"/v1/approvals/{asked['id']}").json()["status"] == "pending"


class TestThresholds:
    def test_are_put_in_words_on_the_budgets_page(self) -> None:
        acme = spender("0")
        levels = [
            {"percent": 80, "action": "throttle", "per_minute": 6},
            {"amount": "4.5", "action": "pause"},
        ]
        made = acme.budget(thresholds=levels)
        for permissions in (("view_budget",), ("view_budget", "change_budget")):
            _, client = staff(*permissions)
            page = client.get(f"/admin/spend/budget/{made['id']}/change/").content
            assert (b"80 %: throttle, 6 a minute" in page, b"4.5: pause" in page) == (True, True)

    def test_of_every_kind_are_changed_there(self) -> None:
        acme = spender("0")
        made = acme.budget()
        _, client = staff("view_budget", "change_budget")
        form = {
            "limit": "5",
            "overdraft": "0",
            "mode": "observe",
            "thresholds": '[{"percent": 90, "action": "cap", "caps": {"tools": ["search"]}}]',
        }
        assert client.post(f"/admin/spend/budget/{made['id']}/change/", form).status_code == 302
        shown = acme.client.get(f"/v1/budgets/{made['id']}").json()
        assert (shown["mode"], shown["thresholds"][0]["caps"]) == ("observe", {"tools": ["search"]})

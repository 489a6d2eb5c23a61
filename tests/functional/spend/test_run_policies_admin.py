"""The staff's pages of run policies and of uncapped targets."""

from typing import Any

import pytest

from tests.builders.orgs import caller, events_of, make_agent, make_organization, make_workflow
from tests.functional.spend.test_admin import staff

PAGE = "/admin/spend/runpolicy/"
FORM: dict[str, Any] = {
    "scope": "agent", "target": "research-bot", "max_steps": "200", "max_tool_calls": "", "max_seconds": "",
    "max_depth": "", "attempts": '{"max": 3}', "loop": '{"levels": [{"repeats": 4, "action": "stop"}]}',
    "mode": "enforce",
}  # fmt: skip


class TestRunPolicies:
    def test_are_made_by_the_staff_with_their_name_as_actor(self) -> None:
        organization = make_organization()
        make_agent(organization)
        user, client = staff("add_runpolicy", "view_runpolicy", "change_runpolicy")
        assert client.get(f"{PAGE}add/").status_code == 200
        answer = client.post(f"{PAGE}add/", {**FORM, "organization": str(organization)})
        assert answer.status_code == 302
        (made,) = caller(organization).get("/v1/run-policies").json()["data"]
        assert (made["target"], made["max_steps"], made["max_depth"]) == ("research-bot", 200, None)
        assert made["attempts"] == {"max": 3, "first_ms": 1_000, "longest_ms": 60_000}
        assert made["loop"] == {"window": 50, "levels": [{"repeats": 4, "action": "stop"}]}
        (actor,) = {row[3] for row in events_of(organization) if row[0] == "run_policy.created"}
        assert actor == f"staff:{user.pk}"
        assert made["id"].encode() in client.get(PAGE).content

    def test_are_changed_with_old_and_new_value(self) -> None:
        organization = make_organization()
        loop = {
            "levels": [{"repeats": 4, "action": "cap", "cooldown_ms": 500}, {"repeats": 9, "action": "stop"}]
        }
        body = {"scope": "run", "max_steps": 7, "max_depth": 1, "loop": loop}
        made = caller(organization).post("/v1/run-policies", body).json()
        user, client = staff("view_runpolicy", "change_runpolicy")
        page = f"{PAGE}{made['id']}/change/"
        shown = client.get(page).content
        assert b'value="7"' in shown
        assert b"&quot;cooldown_ms&quot;: 0" not in shown
        form = {**FORM, "max_steps": "9", "attempts": "", "loop": ""}
        assert client.post(page, form).status_code == 302
        kind, _, version, actor, data = events_of(organization)[-1]
        assert (kind, version, actor) == ("run_policy.changed", 2, f"staff:{user.pk}")
        assert data["changed"]["rules"][1] == {"max_steps": 9}

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"max_steps": "0"}, b"greater than or equal to 1"),
            ({"attempts": '{"max": 0}'}, b"no integer from 1 to 100"),
            ({"loop": '{"levels": [{"repeats": 4, "action": "shout"}]}'}, b"none of"),
            ({"max_steps": "", "attempts": "", "loop": ""}, b"at least one of"),
            ({"target": "ghost"}, b"no such agent"),
            ({"organization": ""}, b"Whose run policy"),
        ],
    )
    def test_are_refused_by_the_rules_of_the_api(self, change: dict[str, str], said: bytes) -> None:
        organization = make_organization()
        make_agent(organization)
        _, client = staff("add_runpolicy", "view_runpolicy", "change_runpolicy")
        before = events_of(organization)
        form = {**FORM, "organization": str(organization), **change}
        assert said in client.post(f"{PAGE}add/", form, follow=True).content
        assert events_of(organization) == before

    def test_are_archived_by_an_action(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/run-policies", {"scope": "run", "max_steps": 7}).json()
        _, client = staff("view_runpolicy", "change_runpolicy")
        client.post(PAGE, {"action": "archive", "_selected_action": [made["id"]]})
        assert admin.get(f"/v1/run-policies/{made['id']}").json()["status"] == "archived"
        assert b'name="_save"' not in client.get(f"{PAGE}{made['id']}/change/").content

    def test_stay_as_they_are_for_staff_that_may_only_look(self) -> None:
        made = caller(make_organization()).post("/v1/run-policies", {"scope": "run", "max_steps": 7}).json()
        _, client = staff("view_runpolicy")
        page = f"{PAGE}{made['id']}/change/"
        shown = client.get(page)
        assert (shown.status_code, b'name="_save"' in shown.content) == (200, False)
        assert client.post(page, FORM).status_code == 403
        assert client.get(f"{PAGE}add/").status_code == 403
        assert client.post(f"{PAGE}{made['id']}/delete/", {"post": "yes"}).status_code == 403


class TestUncappedTargets:
    URL = "/admin/spend/uncappedtarget/"

    def test_are_listed_with_a_form_that_caps_each(self) -> None:
        organization = make_organization(currency="EUR")
        make_agent(organization)
        make_workflow(organization)
        caller(organization).post(
            "/v1/budgets", {"scope": "workflow", "window": "day", "limit": "1", "currency": "EUR"}
        )
        user, client = staff("view_uncappedtarget", "add_budget", "view_budget")
        page = client.get(self.URL, {"organization": str(organization)})
        rows = {(row["scope"], row["target"]): row["form"] for row in page.context["rows"]}
        assert list(rows) == [
            ("agent", "research-bot"),
            ("organization", "the organization itself"),
            ("run", "every run"),
            ("user", "every user"),
        ]
        form = client.get(rows["agent", "research-bot"])
        assert form.status_code == 200
        assert all(value in form.content for value in (b'value="research-bot"', b'value="EUR"'))
        budget = {
            "organization": str(organization), "scope": "agent", "target": "research-bot", "window": "day",
            "rolling_seconds": "", "unit": "EUR", "measure": "charge", "time_zone": "", "limit": "5",
            "overdraft": "0", "mode": "enforce", "thresholds": "",
        }  # fmt: skip
        assert client.post(rows["agent", "research-bot"], budget).status_code == 302
        assert events_of(organization)[-1][3] == f"staff:{user.pk}"
        page = client.get(self.URL, {"organization": str(organization)})
        assert [row["scope"] for row in page.context["rows"]] == ["organization", "run", "user"]

    def test_are_for_staff_that_may_look(self) -> None:
        _, client = staff("view_budget")
        assert client.get(self.URL).status_code == 403
        _, client = staff("view_uncappedtarget")
        assert self.URL.encode() in client.get("/admin/").content
        for name in ("-1", "%00", "01900000-0000-7000-8000-0000000000ff"):
            assert client.get(self.URL, {"organization": name}).status_code == 200
        assert client.get(f"{self.URL}1/change/").status_code == 404

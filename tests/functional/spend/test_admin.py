"""The staff's pages of budgets and of what the gate wrote: facts are read-only, budgets change by operations."""

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.builders.observed import Made, write_decisions
from tests.builders.orgs import events_of
from tests.builders.spend import Spender, spender


def staff(*permissions: str, superuser: bool = False) -> tuple[User, Client]:
    user = User.objects.create_user(
        f"staff-{secrets.token_hex(4)}", is_staff=True, is_superuser=superuser, password=None
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


@pytest.fixture(scope="module")
def acme() -> Spender:
    acme = spender()
    acme.budget()
    acme.call("1", subject={"run": "r-1"})
    acme.reserve("9")
    return acme


def ids(acme: Spender) -> dict[str, str]:
    found = {}
    for model, path in {"reservation": "reservations", "run": "runs", "decision": "decisions"}.items():
        found[model] = acme.client.get(f"/v1/{path}").json()["data"][0]["id"]
    found["usagerecord"] = acme.client.get("/v1/usage", outcome="completed").json()["data"][0]["id"]
    return found


class TestFacts:
    @pytest.mark.parametrize("model", ["reservation", "run", "decision", "usagerecord"])
    def test_are_shown_and_offer_no_change_also_not_to_a_superuser(self, acme: Spender, model: str) -> None:
        _, client = staff(superuser=True)
        name, page = ids(acme)[model], f"/admin/spend/{model}/"
        assert b"0 " in client.get(page).content
        listed = client.get(page, {"organization": str(acme.organization)})
        assert (listed.status_code, name.encode() in listed.content) == (200, True)
        shown = client.get(f"{page}{name}/change/")
        assert (shown.status_code, b'name="_save"' in shown.content) == (200, False)
        assert client.post(f"{page}{name}/change/", {"held": "1"}).status_code == 403
        assert client.post(f"{page}{name}/delete/", {"post": "yes"}).status_code == 403
        assert client.get(f"{page}add/").status_code == 403

    def test_of_budgets_are_listed(self) -> None:
        _, client = staff(superuser=True)
        assert client.get("/admin/spend/budgetcounter/").status_code == 200
        assert client.get("/admin/spend/budgetcounter/add/").status_code == 403


class TestBudgets:
    FORM: dict[str, Any] = {
        "scope": "organization", "target": "", "window": "day", "rolling_seconds": "", "unit": "USD",
        "measure": "charge", "time_zone": "", "limit": "5.00", "overdraft": "0", "mode": "enforce", "thresholds": "",
    }  # fmt: skip

    def test_are_made_by_the_staff_with_their_name_as_actor(self) -> None:
        acme = spender("0")
        user, client = staff("add_budget", "view_budget", "change_budget")
        form = {**self.FORM, "organization": str(acme.organization)}
        assert client.post("/admin/spend/budget/add/", form).status_code == 302
        (made,) = acme.client.get("/v1/budgets").json()["data"]
        assert (made["limit"], made["window"], made["currency"], len(made["thresholds"])) == (
            "5",
            "day",
            "USD",
            3,
        )
        kind, _, _, actor, _ = events_of(acme.organization)[-1]
        assert (kind, actor) == ("budget.created", f"staff:{user.pk}")

    def test_are_changed_with_old_and_new_value(self) -> None:
        acme = spender("0")
        made = acme.budget()
        user, client = staff("view_budget", "change_budget")
        page = f"/admin/spend/budget/{made['id']}/change/"
        assert b'value="5"' in client.get(page).content
        form = {
            "limit": "2.5",
            "overdraft": "0",
            "mode": "enforce",
            "thresholds": '[{"percent": 90, "action": "block"}]',
        }
        assert client.post(page, form).status_code == 302
        kind, _, _, actor, data = events_of(acme.organization)[-1]
        assert (kind, actor) == ("budget.changed", f"staff:{user.pk}")
        assert data["changed"]["amount_limit"] == [500_000_000, 250_000_000]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"limit": "1e3"}, b"integer digits"),
            ({"thresholds": '[{"percent": 120, "action": "block"}]'}, b"ascending"),
            ({"unit": "EUR"}, b"currency is USD"),
            ({"scope": "agent", "target": "ghost"}, b"no such agent"),
            ({"window": "rolling"}, b"rolling_seconds"),
        ],
    )
    def test_are_refused_by_the_rules_of_the_api(self, change: dict[str, str], said: bytes) -> None:
        acme = spender("0")
        _, client = staff("add_budget", "view_budget", "change_budget")
        before = events_of(acme.organization)
        form = {**self.FORM, "organization": str(acme.organization), **change}
        answer = client.post("/admin/spend/budget/add/", form, follow=True)
        assert said in answer.content
        assert events_of(acme.organization) == before

    def test_are_archived_by_an_action(self) -> None:
        acme = spender("0")
        made = acme.budget()
        _, client = staff("view_budget", "change_budget")
        client.post("/admin/spend/budget/", {"action": "archive", "_selected_action": [made["id"]]})
        assert acme.client.get(f"/v1/budgets/{made['id']}").json()["status"] == "archived"
        page = client.get(f"/admin/spend/budget/{made['id']}/change/")
        assert b'name="_save"' not in page.content

    def test_say_what_they_would_have_blocked_in_observe_mode(self) -> None:
        acme = spender("0")
        made = acme.budget()
        _, client = staff("view_budget", "view_decision")
        page = f"/admin/spend/budget/{made['id']}/change/"
        assert b"nothing" in client.get(page).content
        hit = ((made["id"], "budget", "budget_exhausted"),)
        write_decisions(acme.organization, [Made(620_000_000, hit), Made(620_000_000, hit), Made(1, ())])
        shown = client.get(page).content
        assert b"would have blocked 2 calls worth 12.40 USD" in shown
        assert b"budget_exhausted: 2 calls worth 12.4 USD" in shown
        listed = client.get(
            "/admin/spend/decision/", {"organization": str(acme.organization), "observed": "true"}
        )
        assert b"2 decisions" in listed.content

    def test_have_pages_of_rate_limits_beside_them_that_say_the_same(self) -> None:
        acme = spender("0")
        terms = {"scope": "agent", "unit": "requests", "limit": 2, "window": "day", "behaviour": "reject"}
        made = acme.client.post("/v1/rate-limits", {**terms, "mode": "observe"}).json()["id"]
        write_decisions(acme.organization, [Made(50_000_000, ((made, "rate_limit", "rate_limited"),))])
        for permissions in (("view_ratelimit",), ("view_ratelimit", "change_ratelimit")):
            shown = staff(*permissions)[1].get(f"/admin/spend/ratelimit/{made}/change/").content
            assert b"would have blocked 1 call worth 0.50 USD" in shown
            assert b"set the mode to enforce" in shown

    def test_stay_as_they_are_for_staff_that_may_only_look(self) -> None:
        acme = spender("0")
        made = acme.budget()
        _, client = staff("view_budget")
        assert client.get("/admin/spend/budget/add/").status_code == 403
        page = f"/admin/spend/budget/{made['id']}/change/"
        assert b'name="_save"' not in client.get(page).content
        assert client.post(page, {"limit": "9", "overdraft": "0", "mode": "enforce"}).status_code == 403

"""The staff's pages of rate limits: made, changed and archived by the operations of the API."""

from typing import Any

import pytest

from tests.builders.orgs import events_of
from tests.builders.spend import Spender, spender
from tests.functional.spend.test_admin import staff

PAGE = "/admin/spend/ratelimit/"
FORM: dict[str, Any] = {
    "scope": "agent", "target": "bot", "per": "", "unit": "requests", "direction": "", "window": "minute",
    "limit": "60", "burst": "10", "behaviour": "reject", "escalate": '{"denials": 5, "seconds": 60}',
    "active_hours": "", "mode": "observe",
}  # fmt: skip
CHANGE = {
    "limit": "30",
    "burst": "",
    "behaviour": "throttle",
    "escalate": "",
    "active_hours": "",
    "mode": "enforce",
}


def made_by(acme: Spender, **given: Any) -> dict[str, Any]:
    body = {"scope": "agent", "unit": "requests", "limit": 60, "window": "minute", "behaviour": "reject"}
    made: dict[str, Any] = acme.client.post("/v1/rate-limits", {**body, **given}).json()
    return made


class TestRateLimits:
    def test_are_made_by_the_staff_with_their_name_as_actor(self) -> None:
        acme = spender("0")
        user, client = staff("add_ratelimit", "view_ratelimit", "change_ratelimit")
        form = {**FORM, "organization": str(acme.organization)}
        assert client.post(f"{PAGE}add/", form).status_code == 302
        (made,) = acme.client.get("/v1/rate-limits").json()["data"]
        assert (made["target"], made["limit"], made["burst"], made["mode"]) == ("bot", 60, 10, "observe")
        assert made["escalate"] == {"denials": 5, "seconds": 60}
        kind, _, _, actor, _ = events_of(acme.organization)[-1]
        assert (kind, actor) == ("rate_limit.created", f"staff:{user.pk}")

    def test_are_changed_with_reason_old_and_new_value(self) -> None:
        acme = spender("0")
        made = made_by(acme, burst=10, active_hours={"from": "09:00", "until": "17:00"})
        user, client = staff("view_ratelimit", "change_ratelimit")
        page = f"{PAGE}{made['id']}/change/"
        shown = client.get(page).content
        assert b'value="60"' in shown and b"09:00" in shown and b"nothing" in shown
        assert client.post(page, {**CHANGE, "reason": "the night job grew"}).status_code == 302
        kind, _, _, actor, data = events_of(acme.organization)[-1]
        assert (kind, actor) == ("rate_limit.changed", f"staff:{user.pk}")
        assert data["reason"] == "the night job grew"
        assert data["changed"] == {
            "amount_limit": [60, 30],
            "burst": [10, None],
            "behaviour": ["reject", "throttle"],
            "active_from": ["09:00", None],
            "active_until": ["17:00", None],
        }

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"limit": "-1"}, b"0 to"),
            ({"burst": "0"}, b"integer from 1"),
            ({"escalate": '{"denials": 5}'}, b"required"),
            ({"active_hours": '{"from": "9", "until": "17:00"}'}, b"HH:MM"),
            ({"window": ""}, b"required"),
            ({"unit": "concurrent"}, b"no window"),
            ({"target": "ghost"}, b"no such agent"),
            ({"organization": ""}, b"Whose rate limit"),
        ],
    )
    def test_are_refused_by_the_rules_of_the_api(self, change: dict[str, str], said: bytes) -> None:
        acme = spender("0")
        _, client = staff("add_ratelimit", "view_ratelimit", "change_ratelimit")
        before = events_of(acme.organization)
        form = {**FORM, "organization": str(acme.organization), **change}
        answer = client.post(f"{PAGE}add/", form, follow=True)
        assert said in answer.content
        assert events_of(acme.organization) == before

    def test_are_archived_by_an_action(self) -> None:
        acme = spender("0")
        made = made_by(acme)
        user, client = staff("view_ratelimit", "change_ratelimit")
        assert made["id"].encode() in client.get(PAGE).content
        client.post(PAGE, {"action": "archive", "_selected_action": [made["id"]]})
        assert acme.client.get(f"/v1/rate-limits/{made['id']}").json()["status"] == "archived"
        assert events_of(acme.organization)[-1][3] == f"staff:{user.pk}"
        assert b'name="_save"' not in client.get(f"{PAGE}{made['id']}/change/").content

    def test_stay_as_they_are_for_staff_that_may_only_look(self) -> None:
        acme = spender("0")
        made = made_by(acme)
        _, client = staff("view_ratelimit")
        assert client.get(f"{PAGE}add/").status_code == 403
        page = f"{PAGE}{made['id']}/change/"
        assert b'name="_save"' not in client.get(page).content
        assert client.post(page, CHANGE).status_code == 403
        assert client.post(f"{page}../delete/", {"post": "yes"}).status_code == 403

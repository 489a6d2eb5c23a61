"""Rate limits through the API: what they may be, who may change them, and that a change is kept with old and new
value. What the gate makes of them stands in tests/functional/gate/test_rate_limits.py."""

from typing import Any

import pytest

from tests.builders.orgs import (
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_connection,
    make_key,
    make_organization,
    make_team,
    make_workflow,
    platform,
)

PER_MINUTE = {
    "scope": "organization",
    "unit": "requests",
    "limit": 60,
    "window": "minute",
    "behaviour": "reject",
}
OPEN = {"scope": "agent", "unit": "concurrent", "limit": 5, "behaviour": "reject"}
SCOPES = ("key", "organization", "team", "agent", "workflow", "connection", "user")
UNKNOWN = "01900000-0000-7000-8000-0000000000ff"
STRIKES = {"denials": 5, "seconds": 60}
HOURS = {"from": "09:00", "until": "17:00"}


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestMakingARateLimit:
    def test_answers_with_everything_that_holds(self) -> None:
        organization = make_organization(time_zone="Europe/Berlin")
        admin = caller(organization)
        made = admin.post("/v1/rate-limits", PER_MINUTE)
        assert made.status_code == 201
        shown = made.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == {
            "organization": str(organization),
            "scope": "organization",
            "target": None,
            "target_id": None,
            "per": None,
            "unit": "requests",
            "direction": None,
            "limit": 60,
            "window": "minute",
            "burst": None,
            "behaviour": "reject",
            "escalate": None,
            "active_hours": None,
            "time_zone": "Europe/Berlin",
            "mode": "enforce",
            "status": "active",
            "version": 1,
            "archived_at": None,
            "counters": [],
        }
        assert admin.get(f"/v1/rate-limits/{shown['id']}").json() == shown
        assert admin.get("/v1/rate-limits").json() == {"data": [shown], "next_cursor": None}

    @pytest.mark.parametrize("scope", SCOPES)
    @pytest.mark.parametrize("unit", ["requests", "tokens", "tool_calls", "concurrent"])
    def test_takes_every_scope_with_every_unit(self, scope: str, unit: str) -> None:
        body = {**PER_MINUTE, "scope": scope, "unit": unit}
        if unit == "concurrent":
            del body["window"]
        made = caller(make_organization()).post("/v1/rate-limits", body)
        assert (made.status_code, made.json()["scope"], made.json()["unit"]) == (201, scope, unit)

    @pytest.mark.parametrize("window", ["second", "minute", "hour", "day", "billing_cycle"])
    @pytest.mark.parametrize("behaviour", ["reject", "throttle"])
    def test_takes_every_window_with_every_behaviour(self, window: str, behaviour: str) -> None:
        body = {**PER_MINUTE, "window": window, "behaviour": behaviour, "burst": 10}
        made = caller(make_organization()).post("/v1/rate-limits", body).json()
        assert (made["window"], made["behaviour"], made["burst"]) == (window, behaviour, 10)

    @pytest.mark.parametrize(
        ("scope", "make"),
        [
            ("team", make_team),
            ("agent", make_agent),
            ("workflow", make_workflow),
            ("connection", make_connection),
        ],
    )
    def test_names_its_target_by_key_or_by_id(self, scope: str, make: Any) -> None:
        organization = make_organization()
        subject = make(organization)
        admin = caller(organization)
        for name in (subject.key, str(subject.id)):
            made = admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": scope, "target": name}).json()
            assert (made["target"], made["target_id"]) == (subject.key, str(subject.id))

    def test_names_an_api_key_by_its_id_and_a_user_by_the_label(self) -> None:
        organization = make_organization()
        admin, key = caller(organization), make_key(organization).key
        made = admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": "key", "target": str(key.id)}).json()
        assert (made["target"], made["target_id"]) == (str(key.id), str(key.id))
        made = admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": "user", "target": "u-7"}).json()
        assert (made["target"], made["target_id"]) == ("u-7", None)

    def test_per_second_is_a_burst_of_the_limit(self) -> None:
        admin = caller(make_organization())
        body = {**PER_MINUTE, "window": "second", "limit": 20}
        assert admin.post("/v1/rate-limits", body).json()["burst"] == 20
        assert admin.post("/v1/rate-limits", {**body, "burst": 3}).json()["burst"] == 3
        assert admin.post("/v1/rate-limits", {**body, "limit": 0}).json()["burst"] is None

    def test_keeps_whom_it_counts_when_it_holds_and_what_follows_from_denials(self) -> None:
        body = {
            **PER_MINUTE,
            "scope": "connection",
            "unit": "tokens",
            "per": "agent",
            "direction": "output",
            "escalate": {"denials": 20, "seconds": 60},
            "active_hours": {"from": "22:00", "until": "06:00", "time_zone": "America/New_York"},
            "mode": "observe",
        }
        made = caller(make_organization()).post("/v1/rate-limits", body).json()
        assert {name: made[name] for name in body} == body
        assert made["time_zone"] == "America/New_York"

    def test_holds_by_the_clock_of_the_organization_unless_it_names_another(self) -> None:
        organization = make_organization(time_zone="Asia/Tokyo")
        body = {**PER_MINUTE, "active_hours": {"from": "09:00", "until": "17:00"}}
        made = caller(organization).post("/v1/rate-limits", body).json()
        assert made["active_hours"] == {"from": "09:00", "until": "17:00", "time_zone": "Asia/Tokyo"}

    def test_takes_null_where_nothing_is_said(self) -> None:
        empty = dict.fromkeys(("target", "window", "burst", "per", "direction", "escalate", "active_hours"))
        assert caller(make_organization()).post("/v1/rate-limits", {**OPEN, **empty}).status_code == 201

    def test_is_repeated_under_its_key(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        first = admin.post("/v1/rate-limits", PER_MINUTE, key="l-1")
        again = admin.post("/v1/rate-limits", PER_MINUTE, key="l-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert [row[0] for row in events_of(organization)].count("rate_limit.created") == 1
        other = admin.post("/v1/rate-limits", {**PER_MINUTE, "limit": 1}, key="l-1")
        assert problem(other)[:2] == (422, "idempotency_key_reused")

    def test_raises_the_epoch_that_the_gate_compares(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = config_epoch(organization)
        admin.post("/v1/rate-limits", PER_MINUTE)
        assert config_epoch(organization) == before + 1


class TestWhatARateLimitMayNotBe:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"limit": -1}, (400, "invalid_quantity", ["/limit"])),  # B39
            ({"limit": 10**12 + 1}, (400, "invalid_quantity", ["/limit"])),  # B39
            ({"limit": 1.0}, (400, "invalid_quantity", ["/limit"])),  # B29
            ({"limit": "60"}, (400, "invalid_quantity", ["/limit"])),
            ({"limit": True}, (400, "invalid_quantity", ["/limit"])),
            ({"limit": None}, (400, "invalid_quantity", ["/limit"])),
            ({"burst": 0}, (400, "invalid_quantity", ["/burst"])),
            ({"burst": 10**9 + 1}, (400, "invalid_quantity", ["/burst"])),
            ({"burst": "5"}, (400, "invalid_quantity", ["/burst"])),
            ({"burst": 5.5}, (400, "invalid_quantity", ["/burst"])),
            ({"scope": "run"}, (400, "invalid_field", ["/scope"])),
            ({"unit": "money"}, (400, "invalid_field", ["/unit"])),
            ({"window": "week"}, (400, "invalid_field", ["/window"])),
            ({"window": None}, (400, "invalid_field", ["/window"])),
            ({"unit": "concurrent"}, (400, "invalid_field", ["/window"])),
            ({"unit": "concurrent", "window": None, "burst": 5}, (400, "invalid_field", ["/burst"])),
            ({"unit": "concurrent", "burst": 5}, (400, "invalid_field", ["/window", "/burst"])),
            ({"behaviour": "queue"}, (400, "invalid_field", ["/behaviour"])),
            ({"behaviour": None}, (400, "invalid_field", ["/behaviour"])),
            ({"mode": "maybe"}, (400, "invalid_field", ["/mode"])),
            ({"per": "team"}, (400, "invalid_field", ["/per"])),
            ({"scope": "agent", "per": "agent"}, (400, "invalid_field", ["/per"])),
            ({"direction": "input"}, (400, "invalid_field", ["/direction"])),
            ({"unit": "tokens", "direction": "up"}, (400, "invalid_field", ["/direction"])),
            ({"escalate": 5}, (400, "invalid_field", ["/escalate"])),
            ({"escalate": {}}, (400, "invalid_field", ["/escalate/denials", "/escalate/seconds"])),
            ({"escalate": {"denials": 5}}, (400, "invalid_field", ["/escalate/seconds"])),
            ({"escalate": {**STRIKES, "denials": 0}}, (400, "invalid_field", ["/escalate/denials"])),
            ({"escalate": {**STRIKES, "denials": 10**6 + 1}}, (400, "invalid_field", ["/escalate/denials"])),
            ({"escalate": {**STRIKES, "seconds": "60"}}, (400, "invalid_field", ["/escalate/seconds"])),
            (
                {"escalate": {**STRIKES, "seconds": 31 * 86_400 + 1}},
                (400, "invalid_field", ["/escalate/seconds"]),
            ),
            ({"escalate": {**STRIKES, "pause": True}}, (400, "unknown_field", ["/escalate/pause"])),
            ({"active_hours": "09:00"}, (400, "invalid_field", ["/active_hours"])),
            ({"active_hours": {"from": "09:00"}}, (400, "invalid_field", ["/active_hours/until"])),
            (
                {"active_hours": {**HOURS, "until": "09:00"}},
                (400, "invalid_period", ["/active_hours/until"]),
            ),
            (
                {"active_hours": {**HOURS, "until": "24:00"}},
                (400, "invalid_datetime", ["/active_hours/until"]),
            ),
            ({"active_hours": {**HOURS, "from": "9:00"}}, (400, "invalid_datetime", ["/active_hours/from"])),
            ({"active_hours": {**HOURS, "from": 900}}, (400, "invalid_datetime", ["/active_hours/from"])),
            (
                {"active_hours": {**HOURS, "from": "\uff10\uff19:00"}},
                (400, "invalid_datetime", ["/active_hours/from"]),
            ),
            (
                {"active_hours": {**HOURS, "time_zone": "Mars/Olympus"}},
                (400, "invalid_field", ["/active_hours/time_zone"]),
            ),
            ({"active_hours": {**HOURS, "days": []}}, (400, "unknown_field", ["/active_hours/days"])),
            ({"time_zone": "UTC"}, (400, "read_only_field", ["/time_zone"])),
            ({"id": "x"}, (400, "read_only_field", ["/id"])),  # B56
            ({"status": "active"}, (400, "read_only_field", ["/status"])),  # B56
            ({"colour": "red"}, (400, "unknown_field", ["/colour"])),  # B55
            ({"scope": "agent", "target": "ghost"}, (404, "not_found", ["/target"])),
            ({"scope": "key", "target": "main"}, (400, "invalid_id", ["/target"])),
            ({"scope": "key", "target": UNKNOWN}, (404, "not_found", ["/target"])),
            ({"scope": "user", "target": "a\u202eb"}, (400, "invalid_text", ["/target"])),  # B61
            ({"scope": "user", "target": "a\x00b"}, (400, "invalid_text", ["/target"])),  # B41
            ({"scope": "user", "target": "x" * 201}, (400, "invalid_field", ["/target"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = make_organization()
        admin = caller(organization)
        before = events_of(organization)
        for _ in range(2):
            assert problem(admin.post("/v1/rate-limits", {**PER_MINUTE, **change})) == expected
        assert events_of(organization) == before

    @pytest.mark.parametrize("field", ["scope", "unit", "limit", "window", "behaviour"])
    def test_without_what_it_must_say(self, field: str) -> None:
        body = {name: value for name, value in PER_MINUTE.items() if name != field}
        answer = caller(make_organization()).post("/v1/rate-limits", body)
        assert problem(answer) == (400, "invalid_field", [f"/{field}"])

    def test_for_an_archived_target(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post("/v1/agents", {"key": "a", "name": "A"})
        admin.post("/v1/agents/a/archive")
        answer = admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": "agent", "target": "a"})
        assert problem(answer) == (409, "invalid_transition", ["/target"])

    def test_for_a_revoked_key(self) -> None:
        organization = make_organization()
        admin, key = caller(organization), str(make_key(organization).key.id)
        assert admin.post(f"/v1/organizations/{organization}/api-keys/{key}/revoke").status_code == 200
        answer = admin.post("/v1/rate-limits", {**PER_MINUTE, "scope": "key", "target": key})
        assert problem(answer) == (409, "invalid_transition", ["/target"])

    def test_of_a_closed_organization(self) -> None:
        organization = make_organization()
        made = caller(organization).post("/v1/rate-limits", PER_MINUTE).json()["id"]
        assert platform().post(f"/v1/organizations/{organization}/archive").status_code == 200
        body = {**PER_MINUTE, "organization": str(organization)}
        refused = (403, "organization_closed")
        assert problem(platform().post("/v1/rate-limits", body))[:2] == refused
        assert problem(platform().patch(f"/v1/rate-limits/{made}", {"limit": 9}))[:2] == refused


class TestChangingARateLimit:
    def test_is_kept_with_actor_old_and_new_value(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/rate-limits", {**PER_MINUTE, "mode": "observe"}).json()
        epoch = config_epoch(organization)
        changed = admin.patch(f"/v1/rate-limits/{made['id']}", {"mode": "enforce", "limit": 30})
        assert changed.status_code == 200
        shown = changed.json()
        assert (shown["mode"], shown["limit"], shown["version"]) == ("enforce", 30, 2)
        kind, stream, version, actor, data = events_of(organization)[-1]
        assert (kind, str(stream), version) == ("rate_limit.changed", made["id"], 2)
        assert actor.startswith("key:")
        assert data["changed"] == {"amount_limit": [60, 30], "mode": ["observe", "enforce"]}
        assert config_epoch(organization) == epoch + 1

    @pytest.mark.parametrize(
        ("change", "shown"),
        [
            ({"limit": 0}, {"limit": 0}),
            ({"burst": 5}, {"burst": 5}),
            ({"behaviour": "throttle"}, {"behaviour": "throttle"}),
            ({"escalate": STRIKES}, {"escalate": STRIKES}),
            ({"active_hours": HOURS}, {"active_hours": {**HOURS, "time_zone": "UTC"}}),
            ({"mode": "off"}, {"mode": "off"}),
        ],
    )
    def test_changes_each_of_its_terms(self, change: dict[str, Any], shown: dict[str, Any]) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/rate-limits", PER_MINUTE).json()
        changed = admin.patch(f"/v1/rate-limits/{made['id']}", change).json()
        assert changed == {**made, **shown, "version": 2}

    def test_null_ends_burst_escalation_and_hours(self) -> None:
        admin = caller(make_organization())
        body = {**PER_MINUTE, "burst": 5, "escalate": STRIKES, "active_hours": HOURS}
        made = admin.post("/v1/rate-limits", body).json()
        ended = {"burst": None, "escalate": None, "active_hours": None}
        assert admin.patch(f"/v1/rate-limits/{made['id']}", ended).json() == {**made, **ended, "version": 2}

    def test_the_burst_of_a_second_follows_its_limit_until_it_is_told_otherwise(self) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/rate-limits", {**PER_MINUTE, "window": "second", "limit": 20}).json()

        def burst_after(change: dict[str, Any]) -> Any:
            return admin.patch(f"/v1/rate-limits/{made['id']}", change).json()["burst"]

        assert burst_after({"limit": 8}) == 8
        assert burst_after({"limit": 0}) is None
        assert burst_after({"limit": 5}) == 5
        assert burst_after({"burst": 2}) == 2
        assert burst_after({"limit": 9}) == 2
        assert burst_after({"burst": None}) == 9

    def test_leaves_no_event_when_nothing_changes(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/rate-limits", PER_MINUTE).json()
        before = events_of(organization)
        assert admin.patch(f"/v1/rate-limits/{made['id']}", {"limit": 60, "mode": "enforce"}).json() == made
        assert admin.patch(f"/v1/rate-limits/{made['id']}", {}).json() == made
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        "field", ["scope", "target", "per", "unit", "direction", "window", "time_zone", "id"]
    )
    def test_leaves_what_its_counters_mean(self, field: str) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/rate-limits", PER_MINUTE).json()
        answer = admin.patch(f"/v1/rate-limits/{made['id']}", {field: "x"})
        assert problem(answer) == (400, "read_only_field", [f"/{field}"])

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"limit": None}, (400, "invalid_quantity", ["/limit"])),
            ({"limit": "5"}, (400, "invalid_quantity", ["/limit"])),
            ({"burst": 0}, (400, "invalid_quantity", ["/burst"])),
            ({"mode": None}, (400, "invalid_field", ["/mode"])),
            ({"escalate": {"denials": 1}}, (400, "invalid_field", ["/escalate/seconds"])),
            (
                {"active_hours": {**HOURS, "until": "09:00"}},
                (400, "invalid_period", ["/active_hours/until"]),
            ),
        ],
    )
    def test_is_refused_by_name(self, change: Any, expected: tuple[int, str, list[str]]) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/rate-limits", PER_MINUTE).json()
        assert problem(admin.patch(f"/v1/rate-limits/{made['id']}", change)) == expected

    def test_gives_what_is_open_now_no_burst(self) -> None:
        admin = caller(make_organization())
        made = admin.post("/v1/rate-limits", OPEN).json()
        answer = admin.patch(f"/v1/rate-limits/{made['id']}", {"burst": 5})
        assert problem(answer) == (400, "invalid_field", ["/burst"])

    def test_ends_with_its_archiving(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/rate-limits", PER_MINUTE).json()
        first = admin.post(f"/v1/rate-limits/{made['id']}/archive")
        assert (first.status_code, first.json()["status"]) == (200, "archived")
        before = events_of(organization)
        assert before[-1][0] == "rate_limit.archived"
        assert admin.post(f"/v1/rate-limits/{made['id']}/archive").json() == first.json()
        refused = admin.patch(f"/v1/rate-limits/{made['id']}", {"limit": 1})
        assert problem(refused)[:2] == (409, "invalid_transition")
        assert events_of(organization) == before
        assert admin.get("/v1/rate-limits", archived="false").json()["data"] == []
        assert len(admin.get("/v1/rate-limits", archived="true").json()["data"]) == 1

"""Members and organizations through HTTP."""

from typing import Any

import pytest

from events.store import Cursor
from orgs import PLATFORM_ID
from tests.builders.orgs import (
    caller,
    config_epoch,
    events_of,
    make_organization,
    make_team,
    platform,
    write,
)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


class TestMembers:
    def test_have_a_role_and_their_personal_data_stays_out_of_the_events(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        made = admin.post("/v1/members", {"name": "Ada", "email": "ada@example.com", "role": "owner"})
        assert made.status_code == 201
        shown = made.json()
        assert (shown["name"], shown["email"], shown["role"]) == ("Ada", "ada@example.com", "owner")
        assert admin.get(f"/v1/members/{shown['id']}").json() == shown
        assert admin.get("/v1/members").json()["data"] == [shown]
        last = events_of(organization)[-1]
        assert last[0] == "member.created"
        assert set(last[4]) == {"role", "team_id", "created_at", "archived_at"}

    def test_change_their_role_team_and_profile(self) -> None:
        organization = make_organization()
        make_team(organization, "research")
        admin = caller(organization)
        member = admin.post("/v1/members", {"name": "Ada", "role": "member"}).json()
        path = f"/v1/members/{member['id']}"
        changed = admin.patch(path, {"role": "team_owner", "team": "research", "email": "a@example.com"})
        assert changed.status_code == 200
        shown = changed.json()
        assert (shown["role"], shown["team"], shown["email"]) == ("team_owner", "research", "a@example.com")
        assert events_of(organization)[-1][4]["changed"]["role"] == ["member", "team_owner"]
        events = events_of(organization)
        assert admin.patch(path, {"name": "Ada L."}).json()["name"] == "Ada L."
        assert events_of(organization) == events

    def test_own_a_team_exactly_as_team_owners(self) -> None:
        organization = make_organization()
        make_team(organization, "research")
        admin = caller(organization)
        without = admin.post("/v1/members", {"name": "A", "role": "team_owner"})
        assert code(without) == (400, "invalid_field")
        assert pointers(without) == ["/team"]
        needless = admin.post("/v1/members", {"name": "A", "role": "owner", "team": "research"})
        assert code(needless) == (400, "invalid_field")
        foreign = admin.post("/v1/members", {"name": "A", "role": "team_owner", "team": "none"})
        assert code(foreign) == (404, "not_found")

    @pytest.mark.parametrize("address", ["ada", "ada@", "a b@example.com", "a@b@c", "ada@example.com\n"])
    def test_are_refused_with_a_wrong_address(self, address: str) -> None:
        answer = caller(make_organization()).post(
            "/v1/members", {"name": "A", "role": "member", "email": address}
        )
        assert answer.status_code == 400
        assert pointers(answer) == ["/email"]

    def test_leave_once(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        member = admin.post("/v1/members", {"name": "Ada", "role": "member"}).json()
        path = f"/v1/members/{member['id']}"
        assert admin.post(f"{path}/archive").json()["status"] == "archived"
        events = events_of(organization)
        assert admin.post(f"{path}/archive").status_code == 200
        assert events_of(organization) == events
        assert code(admin.patch(path, {"role": "owner"})) == (409, "invalid_transition")


class TestAnOrganization:
    def test_is_shown_to_itself_and_to_the_platform(self) -> None:
        organization = make_organization(name="Acme", funding="postpaid", credit_limit=50_000_000_00)
        shown = caller(organization, "spend:read").get(f"/v1/organizations/{organization}").json()
        assert shown["name"] == "Acme"
        assert (shown["funding"], shown["credit_limit"], shown["status"]) == ("postpaid", "50", "active")
        assert platform().get(f"/v1/organizations/{organization}").json() == shown

    def test_changes_its_name_and_zone_and_the_platform_its_limit(self) -> None:
        organization = make_organization(funding="postpaid", credit_limit=None)
        admin, path = caller(organization), f"/v1/organizations/{organization}"
        before = config_epoch(organization)
        changed = admin.patch(path, {"name": "Beta", "time_zone": "Europe/Berlin"})
        assert (changed.status_code, changed.json()["name"]) == (200, "Beta")
        assert changed.json()["time_zone"] == "Europe/Berlin"
        assert code(admin.patch(path, {"credit_limit": "1000"})) == (403, "forbidden")
        raised = platform().patch(path, {"credit_limit": "1000"})
        assert raised.json()["credit_limit"] == "1000"
        last = events_of(organization)[-1]
        assert (last[0], last[4]["changed"]["credit_limit"]) == (
            "organization.changed",
            [None, 100_000_000_000],
        )
        assert config_epoch(organization) == before + 2
        assert platform().patch(path, {"credit_limit": None}).json()["credit_limit"] is None

    def test_that_is_prepaid_has_no_limit(self) -> None:
        organization = make_organization()
        answer = platform().patch(f"/v1/organizations/{organization}", {"credit_limit": "5"})
        assert code(answer) == (400, "invalid_field")
        assert pointers(answer) == ["/credit_limit"]

    @pytest.mark.parametrize(
        ("field", "value"), [("currency", "EUR"), ("funding", "postpaid"), ("status", "closed"), ("id", "x")]
    )
    def test_does_not_change_what_stays(self, field: str, value: str) -> None:
        organization = make_organization()
        answer = caller(organization).patch(f"/v1/organizations/{organization}", {field: value})
        assert code(answer) == (400, "read_only_field")
        assert pointers(answer) == [f"/{field}"]

    def test_is_closed_by_the_platform_and_then_takes_nothing_new(self) -> None:
        organization = make_organization()
        admin, path = caller(organization), f"/v1/organizations/{organization}"
        assert code(admin.post(f"{path}/archive")) == (403, "forbidden")
        assert platform().post(f"{path}/archive").json()["status"] == "closed"
        events = events_of(organization)
        assert platform().post(f"{path}/archive").status_code == 200
        refused = [
            admin.post("/v1/agents", {"key": "a", "name": "A"}),
            admin.post("/v1/members", {"name": "A", "role": "owner"}),
            admin.patch(path, {"name": "B"}),
            admin.post(f"{path}/api-keys", {"name": "k", "scopes": ["admin"]}),
        ]
        assert [code(answer) for answer in refused] == [(403, "organization_closed")] * 4
        assert events_of(organization) == events
        assert admin.get("/v1/agents").status_code == 200

    def test_of_the_platform_itself_is_never_closed(self) -> None:
        assert code(platform().post(f"/v1/organizations/{PLATFORM_ID}/archive")) == (403, "forbidden")


class TestThePostpaidLine:
    def test_has_the_credit_limit_of_its_organization_also_after_a_change(self) -> None:
        body = {"name": "Acme", "currency": "USD", "funding": "postpaid", "credit_limit": "10"}
        made = platform().post("/v1/organizations", body)
        assert made.status_code == 201
        organization = made.json()["id"]
        assert _line(organization) == 10_00000000
        platform().patch(f"/v1/organizations/{organization}", {"credit_limit": "25"})
        assert _line(organization) == 25_00000000
        platform().patch(f"/v1/organizations/{organization}", {"credit_limit": None, "name": "B"})
        assert _line(organization) is None


def _line(organization: str) -> int | None:
    def read(cur: Cursor) -> Any:
        cur.execute(
            "SELECT credit_limit FROM accounts WHERE organization = %s AND kind = 'unbilled_receivable'",
            (organization,),
        )
        return cur.fetchone()

    limit: int | None = write(read)[0]
    return limit

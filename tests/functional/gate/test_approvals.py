"""Thresholds that wait for a person: who may decide, once and in time, and what that does to calls (S35)."""

from typing import Any

import pytest

from tests.builders.crowd import at_once
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import (
    Caller,
    caller,
    config_epoch,
    events_of,
    make_agent,
    make_key,
    make_member,
    make_team,
    platform,
)
from tests.functional.gate.test_thresholds import at, budget, code, fired, spend
from tests.invariants import assert_sound

WAITS = at((50, "require_approval"), (100, "block"))
WHY = {"reason": "the campaign runs until Friday"}
UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


def waiting(customer: Customer, **given: Any) -> dict[str, Any]:
    """A customer's only approval, asked for by a call that brought its budget of 10 to 5."""
    given.setdefault("thresholds", WAITS)
    budget(customer, given.pop("thresholds"), **given)
    spend(customer, "5", subject={"run": "r-1"})
    (found,) = caller(customer.id).get("/v1/approvals", status="pending").json()["data"]
    shown: dict[str, Any] = found
    return shown


def decide(client: Caller, approval: dict[str, Any], decision: str = "approve", **given: Any) -> Any:
    return client.post(f"/v1/approvals/{approval['id']}/{decision}", {**WHY, **given})


class TestAnApproval:
    def test_is_asked_for_by_the_call_that_crosses_the_level(self) -> None:
        customer = make_customer()
        shown = waiting(customer)
        plain = ("percent", "amount", "used", "limit", "currency", "unit", "agent", "run", "target", "status")
        assert {name: shown[name] for name in plain} == {
            "percent": 50,
            "amount": None,
            "used": "5",
            "limit": "10",
            "currency": "USD",
            "unit": None,
            "agent": "bot",
            "run": "r-1",
            "target": None,
            "status": "pending",
        }
        assert fired(customer) == [("require_approval", 50)]
        assert caller(customer.id).get(f"/v1/approvals/{shown['id']}").json() == shown
        assert [row[0] for row in events_of(customer.id)].count("approval.requested") == 1

    def test_names_the_target_of_everyones_budget_and_stops_it_alone(self) -> None:
        customer = make_customer(agents=("bot", "other"))
        assert waiting(customer, scope="agent")["target"] == "bot"
        assert code(customer.reserve("1")) == (403, "approval_required")
        customer.reserved("1", subject={"agent": "other"})

    def test_refuses_calls_until_it_is_given(self) -> None:
        customer = make_customer()
        shown = waiting(customer)
        refused = customer.reserve("1")
        assert code(refused) == (403, "approval_required")
        assert refused.json()["binding"]["budget_id"] == shown["budget_id"]
        key = make_key(customer.id)
        epoch = config_epoch(customer.id)
        answer = decide(Caller(key.secret), shown)
        assert answer.status_code == 200
        given = answer.json()
        assert (given["status"], given["decided_by"], given["reason"]) == (
            "approved",
            f"key:{key.key.id}",
            WHY["reason"],
        )
        assert config_epoch(customer.id) == epoch
        spend(customer, "5")
        assert code(customer.reserve("1")) == (402, "budget_exhausted")
        assert fired(customer) == [("require_approval", 50), ("block", 100)]
        assert_sound(customer.id, within_limits=True)

    def test_is_kept_with_actor_old_and_new_value(self) -> None:
        customer = make_customer()
        key = make_key(customer.id)
        decide(Caller(key.secret), waiting(customer))
        kind, _, version, actor, data = events_of(customer.id)[-1]
        assert (kind, version, actor) == ("approval.approved", 2, f"key:{key.key.id}")
        assert data["changed"]["status"] == ["pending", "approved"]
        assert data["changed"]["reason"] == [None, WHY["reason"]]

    def test_leaves_calls_refused_when_it_is_rejected_until_the_window_ends(self) -> None:
        customer = make_customer()
        shown = waiting(customer)
        assert decide(caller(customer.id), shown, "reject").json()["status"] == "rejected"
        assert code(customer.reserve("1")) == (403, "approval_required")
        customer.pass_time(days=1)
        customer.reserved("1")

    def test_of_a_higher_level_is_asked_for_by_itself(self) -> None:
        customer = make_customer()
        shown = waiting(customer, thresholds=at((50, "require_approval"), (80, "require_approval")))
        admin = caller(customer.id)
        assert decide(admin, shown).status_code == 200
        spend(customer, "3")
        assert code(customer.reserve("1")) == (403, "approval_required")
        (second,) = admin.get("/v1/approvals", status="pending").json()["data"]
        assert second["percent"] == 80
        assert decide(admin, second).status_code == 200
        customer.reserved("2")

    def test_in_a_rolling_window_holds_while_its_part_counts(self) -> None:
        customer = make_customer()
        shown = waiting(customer, window="rolling", rolling_seconds=3_600)
        customer.pass_time(minutes=30)
        assert code(customer.reserve("1")) == (403, "approval_required")
        assert decide(caller(customer.id), shown).status_code == 200
        customer.reserved("1")


class TestADecision:
    @pytest.mark.parametrize("first", ["approve", "reject"])
    @pytest.mark.parametrize("second", ["approve", "reject"])
    def test_is_made_once(self, first: str, second: str) -> None:
        customer = make_customer()
        shown, admin = waiting(customer), caller(customer.id)
        assert decide(admin, shown, first).status_code == 200
        before = events_of(customer.id)
        again = decide(admin, shown, second)
        assert code(again) == (409, "invalid_transition")
        assert "already" in again.json()["detail"]
        assert events_of(customer.id) == before

    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_comes_too_late_when_the_window_is_over(self, decision: str) -> None:
        customer = make_customer()
        shown, admin = waiting(customer), caller(customer.id)
        customer.pass_time(days=1)
        answer = decide(admin, shown, decision)
        assert code(answer) == (409, "invalid_transition")
        assert "window is over" in answer.json()["detail"]
        assert admin.get(f"/v1/approvals/{shown['id']}").json()["status"] == "lapsed"
        listed = {
            status: len(admin.get("/v1/approvals", status=status).json()["data"])
            for status in ("pending", "lapsed", "approved", "rejected")
        }
        assert listed == {"pending": 0, "lapsed": 1, "approved": 0, "rejected": 0}

    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_comes_too_late_when_the_limit_was_changed(self, decision: str) -> None:
        customer = make_customer()
        shown, admin = waiting(customer), caller(customer.id)
        assert admin.patch(f"/v1/budgets/{shown['budget_id']}", {"limit": "20"}).status_code == 200
        customer.reserved("1")
        answer = decide(admin, shown, decision)
        assert code(answer) == (409, "invalid_transition")
        assert "changed since" in answer.json()["detail"]

    def test_is_made_once_also_by_many_at_once(self) -> None:
        customer = make_customer()
        shown, secret = waiting(customer), make_key(customer.id).secret

        def work(place: int) -> int:
            status: int = decide(Caller(secret), shown, ("approve", "reject")[place % 2]).status_code
            return status

        assert sorted(at_once(work, callers=8)) == [200] + [409] * 7
        kinds = [row[0] for row in events_of(customer.id)]
        assert sum(kind in ("approval.approved", "approval.rejected") for kind in kinds) == 1

    def test_is_repeated_under_its_key(self) -> None:
        customer = make_customer()
        shown, admin = waiting(customer), caller(customer.id)
        path = f"/v1/approvals/{shown['id']}/approve"
        first, again = (admin.post(path, WHY, key="a-1") for _ in range(2))
        assert (again.status_code, again.content) == (200, first.content)
        assert [row[0] for row in events_of(customer.id)].count("approval.approved") == 1

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, (400, "invalid_field")),
            ({"reason": ""}, (400, "invalid_field")),
            ({"reason": 7}, (400, "invalid_field")),
            ({"reason": "x" * 501}, (400, "invalid_field")),
            ({"reason": "a\u0000b"}, (400, "invalid_text")),
            ({**WHY, "status": "approved"}, (400, "read_only_field")),
            ({**WHY, "approved_by": "me"}, (400, "read_only_field")),
            ({**WHY, "colour": "red"}, (400, "unknown_field")),
        ],
    )
    def test_says_why_and_nothing_else(self, body: dict[str, Any], expected: tuple[int, str]) -> None:
        customer = make_customer()
        shown, admin = waiting(customer), caller(customer.id)
        for decision in ("approve", "reject"):
            assert code(admin.post(f"/v1/approvals/{shown['id']}/{decision}", body)) == expected
        assert admin.get(f"/v1/approvals/{shown['id']}").json()["status"] == "pending"


class TestWhoMayDecide:
    """Whoever may edit the budget (S43): so not the key of a member, whose call may have crossed it."""

    @pytest.mark.parametrize(
        ("role", "level", "allowed"),
        [
            ("owner", "organization", True),
            ("owner", "team", False),
            ("team_owner", "organization", False),
            ("team_owner", "team", True),
            ("member", "organization", False),
            ("member", "team", False),
            ("billing_admin", "organization", False),
            (None, "organization", True),
            (None, "team", True),
        ],
    )
    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_is_decided_by_role_and_level(
        self, role: str | None, level: str, allowed: bool, decision: str
    ) -> None:
        customer = make_customer(agents=())
        team = make_team(customer.id)
        make_agent(customer.id, "bot", "Bot", team="research")
        given = {"scope": "team", "target": str(team.id)} if level == "team" else {}
        shown = waiting(customer, **given)
        editor = caller(customer.id)
        if role is not None:
            member = make_member(customer.id, role, team="research" if role == "team_owner" else None)
            editor = caller(customer.id, "admin", "spend:read", "spend:write", member=str(member.id))
        answer = decide(editor, shown, decision)
        if allowed:
            assert answer.status_code == 200
        else:
            assert code(answer) == (403, "forbidden")
            assert code(customer.reserve("1")) == (403, "approval_required")

    def test_may_be_the_key_that_crossed_it_where_it_may_edit_the_budget(self) -> None:
        customer = make_customer()
        both = Customer(customer.id, caller(customer.id))
        assert decide(both.api, waiting(both)).status_code == 200

    def test_reading_needs_the_scope_only_and_no_limited_key(self) -> None:
        customer = make_customer()
        shown = waiting(customer)
        for path in ("/v1/approvals", f"/v1/approvals/{shown['id']}"):
            assert caller(customer.id, "spend:read").get(path).status_code == 200
            assert code(caller(customer.id, "billing:read").get(path)) == (403, "forbidden")
            limited = caller(customer.id, "spend:read", agents=("bot",))
            assert code(limited.get(path)) == (403, "not_permitted")
        assert code(decide(customer.api, shown)) == (403, "forbidden")


class TestTenants:
    def test_another_organizations_is_answered_like_an_unknown_one(self) -> None:
        theirs, mine = waiting(make_customer()), caller(make_customer().id)
        for name in (theirs["id"], theirs["budget_id"], UNKNOWN, "-1", "%00"):
            assert code(mine.get(f"/v1/approvals/{name}")) == (404, "not_found")
            for decision in ("approve", "reject"):
                assert code(decide(mine, {"id": name}, decision)) == (404, "not_found")
        assert mine.get("/v1/approvals", budget=theirs["budget_id"]).json()["data"] == []
        assert mine.get("/v1/approvals").json()["data"] == []

    def test_the_platform_decides_for_an_organization(self) -> None:
        customer = make_customer()
        shown = waiting(customer)
        listed = platform().get("/v1/approvals", organization=str(customer.id)).json()["data"]
        assert [row["id"] for row in listed] == [shown["id"]]
        assert decide(platform(), shown).status_code == 200


class TestLists:
    def test_are_read_page_by_page_and_by_budget(self) -> None:
        customer = make_customer()
        made = budget(customer, WAITS, scope="agent")
        budget(customer, at((30, "require_approval")), window="lifetime")
        spend(customer, "5")
        admin = caller(customer.id)
        assert len(admin.get("/v1/approvals").json()["data"]) == 2
        (of_agent,) = admin.get("/v1/approvals", budget=str(made.id)).json()["data"]
        assert of_agent["target"] == "bot"
        first = admin.get("/v1/approvals", limit="1").json()
        second = admin.get("/v1/approvals", limit="1", cursor=first["next_cursor"]).json()
        assert {first["data"][0]["id"], second["data"][0]["id"]} == {
            row["id"] for row in admin.get("/v1/approvals").json()["data"]
        }
        assert second["next_cursor"] is None
        assert code(admin.get("/v1/approvals", status="maybe")) == (400, "invalid_parameter")
        assert code(admin.get("/v1/approvals", budget="x")) == (400, "invalid_parameter")
        assert code(admin.get("/v1/approvals", colour="red")) == (400, "unknown_parameter")

"""What the API shows of calls: reservations, runs, decisions and usage, of the own organization only."""

from typing import Any

import pytest

from tests.builders.orgs import caller, make_organization, platform
from tests.builders.spend import Spender, spender

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def rows(client: Any, path: str, **query: str) -> list[dict[str, Any]]:
    answer = client.get(path, **query)
    assert answer.status_code == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


class TestReservations:
    def test_show_what_the_201_said_as_far_as_it_is_stored(self) -> None:
        acme = spender()
        acme.budget()
        made = acme.reserve("1.5", subject={"run": "r-1", "user": "u-7"}).json()
        shown = acme.client.get(f"/v1/reservations/{made['id']}").json()
        same = (
            "id",
            "decision",
            "status",
            "held",
            "currency",
            "estimated_cost",
            "price_version",
            "expires_at",
            "caps",
        )
        assert {name: shown[name] for name in same} == {name: made[name] for name in same}
        assert 0 < shown["remaining_ttl_ms"] <= made["remaining_ttl_ms"]
        assert (shown["subject"]["agent"], shown["subject"]["run"], shown["subject"]["user"]) == (
            "bot",
            "r-1",
            "u-7",
        )
        assert shown["budgets"] == [{**made["budgets"][0], "requested": "1.5"}]

    def test_show_how_they_ended(self) -> None:
        acme = spender()
        done = acme.reserve("2").json()["id"]
        acme.commit(done, "2.25")
        freed = acme.reserve("1").json()["id"]
        acme.client.post(f"/v1/reservations/{freed}/release", {"reason": "stop"}, key="x")
        shown = {row["id"]: row for row in rows(acme.client, "/v1/reservations")}
        assert (shown[done]["status"], shown[done]["charged"], shown[done]["overage"]) == (
            "committed",
            "2.25",
            "0.25",
        )
        assert (shown[freed]["status"], shown[freed]["charged"]) == ("released", None)
        assert shown[done]["remaining_ttl_ms"] is None
        assert shown[done]["ended_at"] is not None

    def test_are_filtered_by_status_run_and_agent(self) -> None:
        acme = spender()
        first = acme.reserve("1", subject={"run": "r-1"}).json()["id"]
        second = acme.reserve("1").json()["id"]
        acme.commit(second)
        names = {
            "active": [first],
            "committed": [second],
            "released": [],
        }
        for status, expected in names.items():
            assert [row["id"] for row in rows(acme.client, "/v1/reservations", status=status)] == expected
        assert [row["id"] for row in rows(acme.client, "/v1/reservations", run="r-1")] == [first]
        assert rows(acme.client, "/v1/reservations", run="never") == []
        assert [row["id"] for row in rows(acme.client, "/v1/reservations", agent="bot")] == [second, first]
        assert problem(acme.client.get("/v1/reservations", agent="ghost")) == (404, "not_found")
        assert problem(acme.client.get("/v1/reservations", status="open")) == (400, "invalid_parameter")

    def test_are_read_page_by_page(self) -> None:
        acme = spender()
        made = [acme.reserve("1").json()["id"] for _ in range(3)]
        first = acme.client.get("/v1/reservations", limit="2").json()
        rest = acme.client.get("/v1/reservations", limit="2", cursor=first["next_cursor"]).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]

    def test_answer_to_no_other_method(self) -> None:
        answer = spender("0").client.delete("/v1/reservations")
        assert problem(answer) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "GET, POST"


class TestRuns:
    def test_show_live_totals_of_the_run_and_of_all_below_it(self) -> None:
        acme = spender()
        acme.call("1.25", subject={"run": "root"})
        acme.call("0.5", subject={"run": "child", "parent_run": "root"})
        acme.reserve("0.75", subject={"run": "grandchild", "parent_run": "child"})
        shown = acme.client.get("/v1/runs/root").json()
        assert (shown["charged"], shown["cost"], shown["held"], shown["reservations"]) == (
            "1.25",
            "1.25",
            "0",
            1,
        )
        total = shown["total"]
        assert (total["charged"], total["held"], total["reservations"], total["usage_records"]) == (
            "1.75",
            "0.75",
            3,
            2,
        )
        child = shown["children"][0]
        assert (child["key"], child["charged"], child["total"]["held"]) == ("child", "0.5", "0.75")
        assert [run["key"] for run in child["children"]] == ["grandchild"]
        assert acme.client.get(f"/v1/runs/{shown['id']}").json() == shown

    def test_separate_the_cost_of_retries(self) -> None:
        acme = spender()
        acme.client.post("/v1/run-policies", {"scope": "run", "attempts": {"first_ms": 0}})
        acme.call("1", subject={"run": "r-1", "step": 1, "attempt": 1})
        acme.call("0.25", subject={"run": "r-1", "step": 1, "attempt": 2})
        shown = acme.client.get("/v1/runs/r-1").json()
        assert shown["retries"] == {"calls": 1, "cost": "0.25", "charge": "0.25"}
        assert [(step["step"], step["attempt"], step["charge"]) for step in shown["steps"]] == [
            (1, 1, "1"),
            (1, 2, "0.25"),
        ]

    def test_are_listed_newest_first(self) -> None:
        acme = spender()
        acme.call(subject={"run": "root"})
        acme.call(subject={"run": "child", "parent_run": "root"})
        assert [row["key"] for row in rows(acme.client, "/v1/runs")] == ["child", "root"]
        assert [row["key"] for row in rows(acme.client, "/v1/runs", root="true")] == ["root"]
        assert [row["parent_run"] for row in rows(acme.client, "/v1/runs", key="child")] == ["root"]
        assert [row["key"] for row in rows(acme.client, "/v1/runs", agent="bot")] == ["child", "root"]

    def test_of_a_child_run_have_no_budget_of_their_own(self) -> None:
        acme = spender()
        acme.call(subject={"run": "child", "parent_run": "root"})
        body = {"scope": "run", "target": "child", "window": "run", "limit": "1", "currency": "USD"}
        assert problem(acme.client.post("/v1/budgets", body)) == (422, "run_is_child")


class TestDecisions:
    def test_of_a_run_come_in_their_order_with_the_denials_before_its_start(self) -> None:
        acme = spender()
        acme.budget(limit="1")
        acme.reserve("3", subject={"run": "r-1"})
        acme.call("0.75", subject={"run": "r-1"})
        acme.reserve("0.5", subject={"run": "r-1"})
        acme.reserve("0.1", subject={"run": "r-2"})
        found = rows(acme.client, "/v1/decisions", run="r-1")
        assert [(row["answer"], row["code"], row["requested"]) for row in found] == [
            ("deny", "too_large", "3"),
            ("allow", None, "0.75"),
            ("deny", "budget_exhausted", "0.5"),
        ]
        assert {row["run"] for row in found} == {"r-1"}
        assert rows(acme.client, "/v1/decisions", run="r-1", order="desc") == found[::-1]

    def test_name_the_binding_layer_with_its_policy_and_version(self) -> None:
        acme = spender()
        budget = acme.budget(limit="1")
        acme.client.patch(f"/v1/budgets/{budget['id']}", {"limit": "2"})
        acme.reserve("3")
        (row,) = rows(acme.client, "/v1/decisions", answer="deny")
        assert (row["budget_id"], row["budget_version"], row["binding_scope"]) == (
            budget["id"],
            2,
            "organization",
        )
        assert (row["binding"]["limit"], row["binding"]["requested"], row["count"]) == ("2", "3", 1)

    def test_are_filtered_by_agent_answer_and_code(self) -> None:
        acme = spender()
        acme.budget(limit="1")
        acme.call("0.5")
        acme.reserve("3")
        assert len(rows(acme.client, "/v1/decisions", agent="bot")) == 2
        assert [row["code"] for row in rows(acme.client, "/v1/decisions", code="too_large")] == ["too_large"]
        assert [row["answer"] for row in rows(acme.client, "/v1/decisions", answer="allow")] == ["allow"]
        assert problem(acme.client.get("/v1/decisions", answer="perhaps")) == (400, "invalid_parameter")

    def test_are_read_page_by_page_in_order(self) -> None:
        acme = spender()
        for _ in range(3):
            acme.reserve("0.1")
        first = acme.client.get("/v1/decisions", limit="2").json()
        rest = acme.client.get("/v1/decisions", limit="2", cursor=first["next_cursor"]).json()
        ids = [row["id"] for row in first["data"] + rest["data"]]
        assert len(ids) == 3
        assert ids == sorted(ids)


class TestUsage:
    def test_shows_denials_beside_records(self) -> None:
        acme = spender()
        acme.budget(limit="1")
        done = acme.call("0.5", subject={"run": "r-1", "user": "u-7"})
        acme.reserve("3", subject={"run": "r-1", "user": "u-7"})
        denial, record = rows(acme.client, "/v1/usage")
        assert (denial["outcome"], denial["reason"], denial["cost"], denial["charge"]) == (
            "blocked", "too_large", "0", "0",
        )  # fmt: skip
        assert denial["subject"]["run"] == record["subject"]["run"] == "r-1"
        assert (record["id"], record["charge"], record["outcome"]) == (
            done["usage_record"],
            "0.5",
            "completed",
        )
        assert sum(float(part["amount"]) for part in record["funding"]) == 0.5
        assert acme.client.get(f"/v1/usage/{record['id']}").json() == record

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ({"outcome": "blocked"}, 1),
            ({"outcome": "completed"}, 1),
            ({"run": "r-1"}, 2),
            ({"run": "r-9"}, 0),
            ({"agent": "bot"}, 2),
            ({"user": "u-7"}, 2),
            ({"user": "u-8"}, 0),
            ({"model": "m"}, 0),
            ({"tool": "search"}, 2),
            ({"tool": "mail"}, 0),
            ({"from": "2020-01-01T00:00:00Z"}, 2),
            ({"to": "2020-01-01T00:00:00Z"}, 0),
        ],
    )
    def test_is_filtered(self, query: dict[str, str], count: int) -> None:
        acme = spender()
        acme.budget(limit="1")
        acme.call("0.5", subject={"run": "r-1", "user": "u-7"}, action={"tool": "search"})
        acme.reserve("3", subject={"run": "r-1", "user": "u-7"}, action={"tool": "search"})
        assert len(rows(acme.client, "/v1/usage", **query)) == count

    def test_leaves_out_what_was_only_asked(self) -> None:
        acme = spender()
        acme.budget(limit="1")
        acme.reserve("3", mode="dry_run")
        assert rows(acme.client, "/v1/usage") == []
        assert [row["dry_run"] for row in rows(acme.client, "/v1/decisions")] == [True]


class TestTenants:
    def filled(self) -> Spender:
        acme = spender()
        acme.call("1", subject={"run": "r-1"})
        return acme

    def test_see_nothing_of_each_other(self) -> None:
        acme, other = self.filled(), caller(make_organization())
        for path in ("reservations", "runs", "decisions", "usage", "budgets"):
            assert rows(other, f"/v1/{path}") == []
        for dimension in ("agent", "user", "run", "tool"):
            shown = other.get("/v1/usage/attribution", group_by=dimension).json()
            assert (shown["data"], shown["total"]["calls"]) == ([], 0)
        assert [row["target"] for row in rows(other, "/v1/reports/uncapped")] == [None, None, None]
        for path in ("reservations", "usage"):
            theirs = rows(acme.client, f"/v1/{path}")[0]["id"]
            answers = [other.get(f"/v1/{path}/{name}") for name in (theirs, UNKNOWN, "-1", "%00")]
            assert [problem(answer) for answer in answers] == [(404, "not_found")] * 4
        run = rows(acme.client, "/v1/runs")[0]
        answers = [other.get(f"/v1/runs/{name}") for name in (run["id"], run["key"], UNKNOWN)]
        assert [problem(answer) for answer in answers] == [(404, "not_found")] * 3

    @pytest.mark.parametrize("path", ["reservations", "usage", "decisions"])
    def test_cannot_filter_by_each_others_ids(self, path: str) -> None:
        acme, other = self.filled(), caller(make_organization())
        run = rows(acme.client, "/v1/runs")[0]["id"]
        agent = rows(acme.client, "/v1/agents")[0]["id"]
        for query in ({"run": run}, {"run": UNKNOWN}, {"agent": agent}, {"agent": UNKNOWN}):
            assert problem(other.get(f"/v1/{path}", **query)) == (404, "not_found")

    def test_cannot_be_named_by_others(self) -> None:
        acme, other = self.filled(), caller(make_organization())
        for path in ("reservations", "runs", "decisions", "usage", "budgets", "reports/uncapped"):
            answer = other.get(f"/v1/{path}", organization=str(acme.organization))
            assert problem(answer) == (404, "not_found")
            assert rows(platform(), f"/v1/{path}", organization=str(acme.organization)) is not None
            assert problem(platform().get(f"/v1/{path}")) == (400, "invalid_parameter")

    def test_cannot_use_each_others_cursors(self) -> None:
        acme, other = self.filled(), self.filled()
        acme.call("1")
        cursor = acme.client.get("/v1/usage", limit="1").json()["next_cursor"]
        assert problem(other.client.get("/v1/usage", cursor=cursor)) == (400, "invalid_cursor")

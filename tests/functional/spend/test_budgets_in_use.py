"""Budgets while calls are made under them: live figures, changes in both directions, thresholds and runs."""

from typing import Any

from tests.builders.spend import spender


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestAWindowThatIsARun:
    def test_limits_what_a_target_spends_in_each_run(self) -> None:
        acme = spender()
        budget = acme.budget(scope="agent", window="run", limit="1")
        acme.call("0.75", subject={"run": "r-1"})
        acme.call("0.75", subject={"run": "r-2"})
        acme.call("5")
        assert problem(acme.reserve("0.5", subject={"run": "r-1"})) == (402, "budget_exhausted")
        assert problem(acme.reserve("0.5", subject={"run": "child", "parent_run": "r-2"})) == (
            402,
            "budget_exhausted",
        )
        counters = acme.client.get(f"/v1/budgets/{budget['id']}").json()["counters"]
        assert sorted((row["target"], row["spent"]) for row in counters) == [
            ("bot/r-1", "0.75"),
            ("bot/r-2", "0.75"),
        ]


class TestBudgetsWhileTheyAreUsed:
    def test_show_what_their_current_window_holds(self) -> None:
        acme = spender()
        daily, rolling = acme.budget(), acme.budget(window="rolling", rolling_seconds=3600, limit="7")
        acme.call("1.25")
        acme.reserve("0.5")
        for budget, left in ((daily, "3.25"), (rolling, "5.25")):
            (row,) = acme.client.get(f"/v1/budgets/{budget['id']}").json()["counters"]
            assert (row["target"], row["spent"], row["held"], row["remaining"]) == (None, "1.25", "0.5", left)
            assert row["resets_at"] is not None

    def test_lowered_below_what_is_held_and_spent_deny_new_work_and_release_nothing(self) -> None:
        """B118, S42."""
        acme = spender()
        budget = acme.budget()
        acme.call("2")
        held = acme.reserve("1").json()
        assert acme.client.patch(f"/v1/budgets/{budget['id']}", {"limit": "1"}).status_code == 200
        assert problem(acme.reserve("0.1")) == (402, "budget_exhausted")
        assert acme.client.get(f"/v1/reservations/{held['id']}").json()["status"] == "active"
        assert acme.commit(held["id"], "1").json()["charged"] == "1"
        acme.client.patch(f"/v1/budgets/{budget['id']}", {"limit": "3.1"})
        assert acme.reserve("0.1").status_code == 201
        assert problem(acme.reserve("0.00000001")) == (409, "budget_busy")

    def test_no_longer_bind_when_they_are_off_or_archived(self) -> None:
        acme = spender()
        budget = acme.budget(limit="1")
        assert problem(acme.reserve("2")) == (402, "too_large")
        acme.client.patch(f"/v1/budgets/{budget['id']}", {"mode": "off"})
        assert acme.reserve("2").json()["budgets"] == []
        acme.client.patch(f"/v1/budgets/{budget['id']}", {"mode": "enforce"})
        assert problem(acme.reserve("2")) == (402, "too_large")
        acme.client.post(f"/v1/budgets/{budget['id']}/archive")
        assert acme.reserve("2").status_code == 201

    def test_block_at_a_threshold_below_their_limit(self) -> None:
        """S36: judged with this estimate included; equality passes."""
        acme = spender()
        acme.budget(limit="10", thresholds=[{"percent": 50, "action": "block"}])
        assert acme.reserve("5").status_code == 201
        assert problem(acme.reserve("0.00000001")) == (409, "budget_busy")

"""Budgets that are raised for a while or lowered: what calls meet at their next decision (S42)."""

from datetime import timedelta
from typing import Any

import pytest

from spend.rules.budgetfacts import Budget
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import caller, events_of
from tests.functional.gate.test_thresholds import at, budget, code, crossed, fired, spend
from tests.invariants import assert_sound

BLOCK = at((100, "block"))


def raise_it(customer: Customer, made: Budget, amount: str = "5", **given: Any) -> str:
    """The id of an override."""
    body = {"amount": amount, "reason": "closing", **given}
    answer = caller(customer.id).post(f"/v1/budgets/{made.id}/override", body)
    assert answer.status_code == 201, answer.json()
    name: str = answer.json()["id"]
    return name


def later(customer: Customer, made: Budget, **span: float) -> str:
    return (made.created_at + timedelta(**span)).isoformat()


class TestAnOverride:
    def test_for_a_run_raises_that_run_and_its_children_only(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK)
        spend(customer, "10", subject={"run": "r-1"})
        raise_it(customer, made, run="r-1")
        assert code(customer.reserve("1")) == (402, "budget_exhausted")
        assert code(customer.reserve("1", subject={"run": "r-2"})) == (402, "budget_exhausted")
        held = customer.reserved("4", subject={"run": "r-1"})
        assert (held["budgets"][0]["limit"], held["budgets"][0]["remaining"]) == ("15", "1")
        customer.reserved("1", subject={"run": "r-1-a", "parent_run": "r-1"})
        assert code(customer.reserve("0.00000001", subject={"run": "r-1"})) == (409, "budget_busy")
        assert_sound(customer.id)

    def test_until_a_time_ends_by_itself(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK, window="lifetime")
        spend(customer, "10")
        raise_it(customer, made, until=later(customer, made, hours=1))
        customer.reserved("1")
        customer.pass_time(hours=1)
        assert code(customer.reserve("1")) == (402, "budget_exhausted")

    def test_is_ended_by_a_person_for_the_next_decision(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK)
        spend(customer, "10")
        name = raise_it(customer, made, until=later(customer, made, days=400))
        customer.reserved("1")
        ended = caller(customer.id).post(f"/v1/budget-overrides/{name}/end", {"reason": "enough"})
        assert ended.status_code == 200
        assert code(customer.reserve("1")) == (402, "budget_exhausted")

    def test_is_for_one_target_of_everyones_budget(self) -> None:
        customer = make_customer(agents=("bot", "other"))
        made = budget(customer, BLOCK, scope="agent")
        for agent in ("bot", "other"):
            spend(customer, "10", subject={"agent": agent})
        raise_it(customer, made, target="bot", until=later(customer, made, days=400))
        customer.reserved("5")
        assert code(customer.reserve("1", subject={"agent": "other"})) == (402, "budget_exhausted")

    def test_for_a_target_in_one_run_needs_both(self) -> None:
        customer = make_customer(agents=("bot", "other"))
        made = budget(customer, BLOCK, scope="agent", window="run")
        for agent in ("bot", "other"):
            spend(customer, "10", subject={"agent": agent, "run": "r-1"})
        spend(customer, "10", subject={"run": "r-2"})
        raise_it(customer, made, target="bot", run="r-1")
        customer.reserved("5", subject={"run": "r-1"})
        for subject in ({"run": "r-2"}, {"agent": "other", "run": "r-1"}):
            assert code(customer.reserve("1", subject=subject)) == (402, "budget_exhausted")

    def test_adds_to_others_and_leaves_wider_budgets_as_they_are(self) -> None:
        customer = make_customer()
        narrow = budget(customer, BLOCK, scope="agent")
        wide = budget(customer, BLOCK, limit="12")
        spend(customer, "10")
        for _ in range(2):
            raise_it(customer, narrow, amount="1", until=later(customer, narrow, days=400))
        customer.reserved("2")
        refused = customer.reserve("1")
        assert code(refused)[0] in (402, 409)
        raise_it(customer, narrow, amount="1", until=later(customer, narrow, days=400))
        refused = customer.reserve("1")
        assert refused.json()["binding"]["budget_id"] == str(wide.id)

    def test_for_a_run_is_refused_for_a_child(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK)
        spend(customer, "1", subject={"run": "r-1"})
        spend(customer, "1", subject={"run": "r-1-a", "parent_run": "r-1"})
        admin = caller(customer.id)
        body = {"amount": "5", "run": "r-1-a", "reason": "x"}
        answer = admin.post(f"/v1/budgets/{made.id}/override", body)
        assert (code(answer), answer.json()["errors"][0]["pointer"]) == ((422, "run_is_child"), "/run")
        run = admin.get("/v1/runs/r-1").json()["id"]
        shown = admin.post(f"/v1/budgets/{made.id}/override", {**body, "run": run})
        assert shown.json()["run"] == "r-1"


class TestALowerLimit:
    def test_acts_at_once_on_what_is_used(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "notify"), (80, "pause"), (100, "block")), scope="agent")
        customer.reserved("4")
        assert crossed(customer) == []
        changed = caller(customer.id).patch(f"/v1/budgets/{made.id}", {"limit": "5"})
        assert changed.status_code == 200
        assert fired(customer) == [("notify", 50), ("pause", 80)]
        assert [(data["used"], data["limit"], data["target"]) for data in crossed(customer)] == [
            (4 * 10**8, 5 * 10**8, "bot")
        ] * 2
        assert code(customer.reserve("0.5")) == (403, "paused")

    def test_is_kept_with_actor_old_and_new_value_before_what_it_fires(self) -> None:
        customer = make_customer()
        made = budget(customer, at((100, "block")))
        customer.reserved("4")
        caller(customer.id).patch(f"/v1/budgets/{made.id}", {"limit": "4"})
        change, *after = events_of(customer.id)[-3:]
        assert (change[0], change[4]["changed"]["amount_limit"]) == ("budget.changed", [10**9, 4 * 10**8])
        assert [row[0] for row in after] == ["threshold.crossed", "incident.opened"]
        assert {row[3] for row in after} == {change[3]}

    def test_asks_for_an_approval(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "require_approval")))
        customer.reserved("4")
        customer.change_budget(made, limit="8")
        assert code(customer.reserve("1")) == (403, "approval_required")
        admin = caller(customer.id)
        (shown,) = admin.get("/v1/approvals", status="pending").json()["data"]
        assert (shown["used"], shown["limit"], shown["agent"]) == ("4", "8", None)
        assert admin.post(f"/v1/approvals/{shown['id']}/approve", {"reason": "x"}).status_code == 200
        customer.reserved("1")

    def test_fires_for_each_target_that_it_puts_below_and_for_no_other(self) -> None:
        customer = make_customer(agents=("a", "b", "c"))
        made = budget(customer, BLOCK, scope="agent")
        for agent, amount in (("a", "4"), ("b", "5"), ("c", "3")):
            spend(customer, amount, subject={"agent": agent})
        customer.change_budget(made, limit="4")
        assert {data["target"] for data in crossed(customer)} == {"a", "b"}

    def test_counts_all_that_a_rolling_window_counts(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK, window="rolling", rolling_seconds=3_600)
        for _ in range(2):
            spend(customer, "2")
            customer.pass_time(minutes=10)
        customer.change_budget(made, limit="4")
        assert [data["used"] for data in crossed(customer)] == [4 * 10**8]

    def test_says_nothing_of_past_windows_or_budgets_that_are_off(self) -> None:
        customer = make_customer()
        past, off = budget(customer, BLOCK), budget(customer, BLOCK, window="lifetime")
        spend(customer, "5")
        caller(customer.id).patch(f"/v1/budgets/{off.id}", {"mode": "off"})
        customer.pass_time(days=1)
        for made in (past, off):
            customer.change_budget(made, limit="4")
        assert crossed(customer) == []

    @pytest.mark.parametrize("change", [{"limit": "5"}, {"limit": "20"}])
    def test_releases_and_loses_nothing(self, change: dict[str, str]) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK)
        held = customer.reserved("6")
        customer.change_budget(made, **change)
        assert customer.commit(held["id"], "6").json()["charged"] == "6"
        assert_sound(customer.id)

    def test_of_an_observed_budget_fires_in_its_shadow_and_stops_nobody(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "pause")), mode="observe", scope="agent")
        spend(customer, "4")
        customer.change_budget(made, limit="5")
        assert [(data["mode"], data["target"]) for data in crossed(customer)] == [("observe", "bot")]
        customer.reserved("1")


class TestFigures:
    def test_of_a_budget_say_what_remains_with_its_overrides(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK)
        in_runs = budget(customer, BLOCK, scope="agent", window="run")
        spend(customer, "4", subject={"run": "r-1"})
        raise_it(customer, made, amount="7", run="r-1")
        raise_it(customer, in_runs, amount="7", run="r-1", target="bot")

        def remaining(name: Budget) -> list[str]:
            counters = caller(customer.id).get(f"/v1/budgets/{name.id}").json()["counters"]
            return [counter["remaining"] for counter in counters]

        assert (remaining(made), remaining(in_runs)) == (["6"], ["13"])
        raise_it(customer, made, amount="2", until=later(customer, made, days=400))
        assert remaining(made) == ["8"]

    def test_of_a_budget_are_those_of_its_windows_alone(self) -> None:
        """What thresholds count beside, such as the calls of a throttle, is no target of the budget."""
        customer = make_customer()
        levels = [
            {"percent": 10, "action": "throttle", "per_minute": 60},
            {"percent": 20, "action": "cap", "caps": {"steps": 9}},
        ]
        made = budget(customer, levels, window="lifetime")
        for _ in range(4):
            spend(customer, "1")
        held = customer.reserved("1")["id"]
        admin = caller(customer.id)
        shown = admin.get(f"/v1/budgets/{made.id}").json()["counters"]
        assert [(row["target"], row["spent"], row["held"]) for row in shown] == [(None, "4", "1")]
        (layer,) = admin.get(f"/v1/reservations/{held}").json()["budgets"]
        assert (layer["id"], layer["requested"], layer["spent"]) == (str(made.id), "1", "4")

    def test_of_a_reservation_leave_out_what_is_only_observed(self) -> None:
        customer = make_customer()
        made = budget(customer, BLOCK)
        budget(customer, BLOCK, mode="observe")
        held = customer.reserved("1")
        assert [layer["id"] for layer in held["budgets"]] == [str(made.id)]
        shown = caller(customer.id).get(f"/v1/reservations/{held['id']}").json()
        assert [layer["id"] for layer in shown["budgets"]] == [str(made.id)]

"""What a reservation is limited by."""

import pytest

from tests.builders.gate import EVERYTHING, body_of, make_customer, make_model, whole_house
from tests.builders.orgs import (
    make_connection,
)
from tests.functional.gate.test_reserving import code
from tests.invariants import Still, assert_sound


class TestALimit:
    @pytest.mark.parametrize(
        "scope", ["organization", "agent", "team", "workflow", "connection", "run", "user"]
    )
    def test_is_met_exactly_and_not_passed_by_the_smallest_unit(self, scope: str) -> None:
        customer = whole_house()
        customer.budget("1", scope=scope)
        with Still(customer.id, decisions=1):
            refused = customer.reserve("1.00000001", subject=EVERYTHING)
            assert code(refused) == (402, "too_large")
        held = customer.reserved("1", subject=EVERYTHING)
        assert held["budgets"][0]["remaining"] == "0"
        assert held["budgets"][0]["scope"] == scope
        with Still(customer.id, decisions=1):
            refused = customer.reserve("0.00000001", subject=EVERYTHING)
            assert code(refused) == (409, "budget_busy")
        customer.commit(held["id"], "1")
        spent = "run_ceiling_reached" if scope == "run" else "budget_exhausted"
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("0.00000001", subject=EVERYTHING)) == (402, spent)
        assert_sound(customer.id, within_limits=True)

    @pytest.mark.parametrize("window", ["hour", "day", "week", "month", "quarter", "year", "billing_cycle"])
    def test_is_whole_again_in_the_next_window(self, window: str) -> None:
        customer = make_customer(time_zone="Europe/Berlin")
        customer.budget("1", window=window)
        held = customer.reserved("1", ttl_seconds=86_400)
        assert code(customer.reserve("1")) == (409, "budget_busy")
        days = {"hour": 0, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366, "billing_cycle": 31}
        customer.pass_time(days=days[window], hours=window == "hour")
        assert customer.reserved("1")["budgets"][0]["remaining"] == "0"
        done = body_of(customer.commit(held["id"], "1"), 200)  # belongs to the first window
        assert done["charged"] == "1"
        assert code(customer.reserve("1")) == (409, "budget_busy")
        assert_sound(customer.id, within_limits=True)

    @pytest.mark.parametrize("window", ["run", "lifetime"])
    def test_that_never_resets_stays(self, window: str) -> None:
        customer = make_customer()
        customer.budget("1", scope="run", window=window)
        customer.commit(customer.reserved("1", subject={"run": "r"})["id"], "1")
        customer.pass_time(days=3_600)
        assert code(customer.reserve("1", subject={"run": "r"})) == (402, "run_ceiling_reached")
        assert customer.reserved("1", subject={"run": "s"})["budgets"][0]["target"] == "s"

    def test_of_a_rolling_window_frees_what_is_wholly_outside(self) -> None:
        customer = make_customer()
        customer.budget("1", window="rolling", rolling_seconds=3_600)
        customer.commit(customer.reserved("0.6")["id"], "0.6")
        customer.pass_time(minutes=30)
        customer.commit(customer.reserved("0.4")["id"], "0.4")
        assert code(customer.reserve("0.1")) == (402, "budget_exhausted")
        customer.pass_time(minutes=29)  # 59 minutes: the first bucket counts
        assert code(customer.reserve("0.1")) == (402, "budget_exhausted")
        customer.pass_time(minutes=2)  # 61 minutes: its bucket of a minute is wholly outside
        assert customer.reserved("0.6")["budgets"][0]["remaining"] == "0"
        assert code(customer.reserve("0.00000001")) == (409, "budget_busy")
        assert_sound(customer.id)

    @pytest.mark.parametrize(
        ("unit", "part", "amounts"),
        [
            ("TOKENS", "input_tokens", (600, 400, 1)),
            ("CREDITS", "credits", (600, 400, 1)),
            ("RISK_POINTS", "risk_points", (600, 400, 1)),
        ],
    )
    def test_counts_other_units_than_money(self, unit: str, part: str, amounts: tuple[int, int, int]) -> None:
        customer = make_customer()
        model = make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        customer.budget("1000", unit=unit)
        first, second, over = amounts
        for amount in (first, second):
            held = customer.reserved(None, estimate={part: amount}, action=action)
            used = {"usage": {part: amount}} if unit == "TOKENS" else {part: amount}
            body_of(customer.commit(held["id"], **used), 200)
        refused = customer.reserve(None, estimate={part: over}, action=action)
        assert code(refused) == (402, "budget_exhausted")
        binding = refused.json()["binding"]
        shown = {name: binding[name] for name in ("limit", "spent", "held", "requested", "remaining", "unit")}
        assert shown == {
            "limit": "1000", "spent": "1000", "held": "0", "requested": "1", "remaining": "0", "unit": unit,
        }  # fmt: skip

    def test_of_cost_counts_what_the_provider_takes(self) -> None:
        customer = make_customer("0")
        model = make_model()
        make_connection(customer.id, "ours", "Ours", "own_key")
        customer.budget("1", measure="cost")
        subject, action = {"connection": "ours"}, {"kind": "llm.chat", "provider": "acme", "model": model}
        customer.reserved(None, subject=subject, action=action, estimate={"input_tokens": 10**6})
        refused = customer.reserve(None, subject=subject, action=action, estimate={"input_tokens": 1})
        assert code(refused) == (409, "budget_busy")

    def test_with_an_overdraft_lets_that_much_more_pass(self) -> None:
        customer = make_customer()
        customer.budget("1", overdraft="0.5")
        assert code(customer.reserve("1.50000001")) == (402, "too_large")
        customer.reserved("1.5")
        assert code(customer.reserve("0.00000001")) == (409, "budget_busy")

    def test_that_blocks_below_the_whole_is_judged_with_the_estimate(self) -> None:
        from spend.rules.budgets import Threshold

        customer = make_customer()
        customer.budget("10", thresholds=(Threshold("block", 80),))
        assert code(customer.reserve("8.00000001")) == (402, "budget_exhausted")
        customer.reserved("8")
        assert code(customer.reserve("0.00000001")) == (409, "budget_busy")

    def test_that_is_off_lets_everything_pass(self) -> None:
        customer = make_customer()
        customer.budget("1", mode="off")
        assert customer.reserved("2")["budgets"] == []

    def test_that_is_lowered_or_raised_holds_at_the_next_decision(self) -> None:
        customer = make_customer()
        budget = customer.budget("10")
        customer.commit(customer.reserved("4")["id"], "4")
        customer.change_budget(budget, limit="3")  # B118: nothing is released or lost
        assert code(customer.reserve("1")) == (402, "budget_exhausted")
        customer.change_budget(budget, limit="5")
        assert customer.reserved("1")["budgets"][0]["spent"] == "4"

    def test_of_one_target_leaves_others_alone(self) -> None:
        customer = make_customer(agents=("bot", "crawler"))
        customer.budget("1", scope="agent", target="bot")
        assert code(customer.reserve("2")) == (402, "too_large")
        assert customer.reserved("2", subject={"agent": "crawler"})["budgets"] == []

    def test_without_a_target_is_each_ones_own(self) -> None:
        customer = make_customer(agents=("bot", "crawler"))
        customer.budget("1", scope="agent")
        customer.reserved("1")
        assert customer.reserved("1", subject={"agent": "crawler"})["budgets"][0]["target"] == "crawler"

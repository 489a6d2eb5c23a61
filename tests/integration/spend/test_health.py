"""The gate's figures for operators."""

import pytest

from common.transactions import run_in_transaction
from spend.queries import health
from spend.queries.health import samples
from tests.builders.spend import spender


def test_tell_of_decisions_usage_holds_and_what_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the budgets that are used most are watched, and other tests leave theirs in the same database.
    monkeypatch.setattr(health, "WATCHED_BUDGETS", 1_000_000)
    acme = spender()
    budget = acme.budget(limit="2")
    acme.call("0.5")
    acme.reserve("1")
    acme.reserve("9")
    found = run_in_transaction(samples)
    by_name = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert by_name["gate_decisions", (("answer", "allow"), ("code", ""))] >= 2
    assert by_name["gate_decisions", (("answer", "deny"), ("code", "too_large"))] >= 1
    assert by_name["usage_cost_units", (("currency", "USD"),)] >= 50_000_000
    assert by_name["reservations_held_units", (("currency", "USD"),)] >= 100_000_000
    (remaining,) = [
        s.value for s in found if s.name == "budget_remaining" and s.labels["budget"] == budget["id"]
    ]
    assert remaining == 50_000_000

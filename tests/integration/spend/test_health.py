"""The gate's figures for operators, in a database where nobody else leaves any (S115)."""

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from common.transactions import run_in_transaction
from config.metrics import scrape
from spend.operations.gate.submit import submit
from spend.operations.switches.lifting import lift_switch
from spend.operations.switches.setting import set_switch
from spend.queries import health
from spend.queries.health import samples
from spend.rules.commands import Action, Actual, Caller, Commit, Estimate, Reserve, Subject
from spend.rules.switches import NewSwitch
from tests.bench.lifecycle import request_key
from tests.builders.gate import UNIT, Customer, make_customer, units
from tests.builders.incidents import open_incident
from tests.builders.orgs import AUTHOR, unique, write

Found = dict[tuple[str, tuple[tuple[str, str], ...]], int]


class Calls:
    """Calls of the gate of this database."""

    def reserve(
        self,
        customer: Customer,
        amount: str,
        currency: str = "USD",
        *,
        dry: bool = False,
        user: str | None = None,
    ) -> Any:
        """The answer to a reservation of an amount."""
        command = Reserve(
            customer.id, Caller("key:test"), None if dry else request_key(unique()), Subject("bot", user=user),
            Action("llm.chat"), Estimate(amount=units(amount)), currency,
        )  # fmt: skip
        (answer,) = submit([replace(command, dry_run=dry)])
        return answer

    def call(self, customer: Customer, amount: str, currency: str = "USD") -> None:
        """A call that is reserved and committed."""
        reserved = self.reserve(customer, amount, currency)
        assert reserved.body is not None
        commit = Commit(
            customer.id, Caller("key:test"), request_key(unique()), UUID(reserved.body["id"]), "completed",
            Actual(amount=units(amount)),
        )  # fmt: skip
        (answer,) = submit([commit])
        assert answer.status == 200, answer


def stop(customer: Customer, new: NewSwitch) -> UUID:
    """The id of a switch that stops somebody of the customer's."""
    return UUID(str(write(lambda cur: set_switch(cur, customer.id, new, author=AUTHOR)).id))


@pytest.fixture
def calls(private_database: str) -> Calls:
    return Calls()


def figures() -> Found:
    """Each figure by its name and labels."""
    found = run_in_transaction(samples)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


def of_currency(found: Found, currency: str) -> dict[str, int]:
    """The figures of a currency, by name."""
    return {name: value for (name, labels), value in found.items() if labels == (("currency", currency),)}


def remaining(found: Found) -> dict[str, int]:
    """What remains, by the budget's id."""
    return {
        dict(labels)["budget"]: value for (name, labels), value in found.items() if name == "budget_remaining"
    }


def test_what_remains_to_a_customers_users_is_not_shown(calls: Calls) -> None:
    customer = make_customer("10")
    customer.budget("2", scope="user")
    shown = customer.budget("3")
    assert calls.reserve(customer, "0.5", user="anna@example.org").status == 201
    assert list(remaining(figures())) == [str(shown.id)]


def test_an_empty_platform_has_none(calls: Calls) -> None:
    assert figures() == {}


def test_decisions_are_counted_by_answer_and_code_but_for_dry_runs(calls: Calls) -> None:
    customer = make_customer("10")
    customer.budget("2")
    calls.call(customer, "0.5")
    calls.reserve(customer, "1")
    calls.reserve(customer, "9")
    calls.reserve(customer, "9", dry=True)
    found = figures()
    assert {labels: value for (name, labels), value in found.items() if name == "gate_decisions"} == {
        (("answer", "allow"), ("code", "")): 2,
        (("answer", "deny"), ("code", "too_large")): 1,
    }


def test_usage_and_holds_are_told_by_currency(calls: Calls) -> None:
    dollars, more, euros = make_customer("10"), make_customer("10"), make_customer("10", currency="EUR")
    calls.call(dollars, "0.5")
    calls.call(more, "0.25")
    calls.reserve(dollars, "1")
    calls.reserve(more, "2")
    calls.call(euros, "3", "EUR")
    found = figures()
    assert of_currency(found, "USD") == {
        "usage_calls": 2, "usage_input_tokens": 0, "usage_output_tokens": 0,
        "usage_cost_units": 75 * UNIT // 100, "usage_charge_units": 75 * UNIT // 100,
        "reservations_active": 2, "reservations_held_units": 3 * UNIT,
    }  # fmt: skip
    assert of_currency(found, "EUR") == {
        "usage_calls": 1, "usage_input_tokens": 0, "usage_output_tokens": 0,
        "usage_cost_units": 3 * UNIT, "usage_charge_units": 3 * UNIT,
    }  # fmt: skip


def test_what_remains_is_told_of_the_budgets_that_are_used_most(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = make_customer("100")
    tight, wide = customer.budget("2"), customer.budget("50", window="month")
    observed = customer.budget("4", mode="off", window="week")
    calls.call(customer, "0.5")
    calls.reserve(customer, "1")
    assert remaining(figures()) == {str(tight.id): UNIT // 2, str(wide.id): 48 * UNIT + UNIT // 2}
    assert str(observed.id) not in remaining(figures())
    monkeypatch.setattr(health, "WATCHED_BUDGETS", 1)
    assert list(remaining(figures())) == [str(tight.id)]


def test_who_is_stopped_is_counted_until_somebody_lets_it_go_on(calls: Calls) -> None:
    customer = make_customer("10", agents=("bot", "crawler"))
    for agent in ("bot", "crawler"):
        stop(customer, NewSwitch("agent", "pause", "x", agent))
    watched = stop(customer, NewSwitch("organization", "kill", "x", mode="observe"))
    open_incident(customer.id, trigger="loop", switch="kill")
    found = {key: value for key, value in figures().items() if key[0] in ("live_switches", "open_incidents")}
    assert found == {
        ("live_switches", (("kind", "kill"), ("mode", "enforce"), ("scope", "organization"))): 1,
        ("live_switches", (("kind", "kill"), ("mode", "observe"), ("scope", "organization"))): 1,
        ("live_switches", (("kind", "pause"), ("mode", "enforce"), ("scope", "agent"))): 2,
        ("open_incidents", (("mode", "enforce"), ("trigger", "loop"))): 1,
    }
    write(lambda cur: lift_switch(cur, customer.id, watched, reason="x", author=AUTHOR))
    assert sum(value for (name, _), value in figures().items() if name == "live_switches") == 3
    assert 'counterfoil_live_switches{kind="pause",mode="enforce",scope="agent"} 2.0' in scrape().decode()


def test_they_are_scraped_with_the_others(calls: Calls) -> None:
    customer = make_customer("10")
    calls.call(customer, "0.5")
    text = scrape().decode()
    assert 'counterfoil_gate_decisions{answer="allow",code=""} 1.0' in text
    assert 'counterfoil_usage_cost_units{currency="USD"} 5e+07' in text
    assert "counterfoil_parked_subscribers 0.0" in text

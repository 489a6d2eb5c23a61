"""What was tried to get around the gate, or to make it act twice or never: each ends as if it had not been tried."""

from typing import Any

import pytest

from spend.operations.gate.apply import Gate
from spend.rules.budgets import Caps, Threshold
from tests.builders.controls import make_policy
from tests.builders.gate import Customer, make_model, reserve_body
from tests.builders.limits import batch, change, limit, limited, tally, told
from tests.invariants import assert_sound


@pytest.fixture
def acme() -> Customer:
    return limited()


def code(answer: Any) -> str | None:
    """Why a call was refused; None for one that was not."""
    found: str | None = answer.json().get("code")
    return found


def incidents(customer: Customer) -> list[dict[str, Any]]:
    """Newest first."""
    found: list[dict[str, Any]] = customer.api.get("/v1/incidents").json()["data"]
    return found


def test_a_loop_that_a_pause_met_as_well_is_stopped_for_good(acme: Customer) -> None:
    make_policy(acme, loop={"levels": [{"repeats": 3, "action": "stop"}]})

    def call() -> str | None:
        action = {"kind": "llm.chat", "fingerprint": "same"}
        return code(acme.reserve("0.1", subject={"run": "r"}, action=action))

    assert [call(), call()] == [None, None]
    assert acme.api.post("/v1/runs/r/pause", {"reason": "let me look"}).status_code == 200
    assert call() == "loop_detected"
    stopped = incidents(acme)[0]
    assert stopped["action"] == "stop"
    assert acme.api.get(f"/v1/kill-switches/{stopped['switch']}").json()["kind"] == "stop"
    assert acme.api.post("/v1/runs/r/resume", {"reason": "go on"}).status_code == 409
    assert call() == "loop_detected"
    assert_sound(acme.id)

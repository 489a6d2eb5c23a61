"""What was tried to get around the gate, or to make it act twice or never: each ends as if it had not been tried."""

import gc
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


@pytest.fixture
def gates(acme: Customer) -> list[Gate]:
    """The gates of this process, which has asked one at least."""
    acme.reserved("0.1")
    return [one for one in gc.get_objects() if type(one) is Gate]  # isinstance would ask dead proxies


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


def test_places_of_what_has_expired_refuse_nobody(acme: Customer) -> None:
    limit(acme, 250, unit="concurrent")
    for _ in range(5):
        assert told(acme, 50, "0.01", ttl_seconds=1) == {"201": 50}
    acme.pass_time(seconds=5)
    assert told(acme, 251, "0.01") == {"201": 250, "rate_limited": 1}
    assert_sound(acme.id)


def steps_left(customer: Customer, first: str) -> list[str | None]:
    """What three calls are told; the first of them reaches the level."""
    return [code(customer.reserve(amount, ttl_seconds=1)) for amount in (first, "0.1", "0.1")]


def test_steps_of_a_rolling_budget_come_back_with_it_and_with_another_limit(acme: Customer) -> None:
    levels = (Threshold("cap", 50, caps=Caps(steps=1)),)
    budget = acme.budget("10", window="rolling", rolling_seconds=3_600, thresholds=levels)
    for _ in range(2):
        answers = [code(acme.reserve(amount, ttl_seconds=3_000)) for amount in ("5", "0.1", "0.1")]
        assert answers == [None, None, "budget_exhausted"]
        acme.pass_time(hours=2)
    acme.reserved("5")
    assert [code(acme.reserve("0.1")) for _ in range(2)] == [None, "budget_exhausted"]
    acme.change_budget(budget, limit="10.1")
    assert [code(acme.reserve("0.1")) for _ in range(2)] == [None, "budget_exhausted"]
    assert_sound(acme.id)


def test_a_shorter_cooldown_counts_from_the_next_decision_on(acme: Customer) -> None:
    day = (Threshold("cap", 50, caps=Caps(cooldown_ms=86_400_000)),)
    budget = acme.budget("10", thresholds=day)
    answers = [code(acme.reserve(amount)) for amount in ("5", "0.1", "0.1")]
    assert answers == [None, None, "rate_limited"]
    second: Any = [{"percent": 50, "action": "cap", "caps": {"cooldown_ms": 1_000}}]
    acme.change_budget(budget, thresholds=second)
    assert [code(acme.reserve("0.1")) for _ in range(2)] == [None, "rate_limited"]
    acme.pass_time(seconds=2)
    assert code(acme.reserve("0.1")) is None


def test_a_slower_rate_of_an_observed_budget_is_no_level_of_it(acme: Customer) -> None:
    levels = (Threshold("throttle", 50, per_minute=6), Threshold("pause", 90))
    budget = acme.budget("10", scope="agent", window="lifetime", mode="observe", thresholds=levels)
    for _ in range(3):
        acme.reserved("2")
    acme.reserved("1")
    acme.change_budget(budget, limit="11")
    assert incidents(acme) == []


def test_a_rate_is_kept_to_what_can_be_counted(acme: Customer) -> None:
    """An arrival time that a bigint does not hold would refuse every call, also by an observed limit."""
    body = {
        "scope": "organization",
        "unit": "tokens",
        "window": "billing_cycle",
        "limit": 1,
        "behaviour": "reject",
    }
    refused = acme.api.post("/v1/rate-limits", {**body, "burst": 10**9})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/burst")
    made = limit(acme, 10**9, unit="tokens", window="billing_cycle", burst=10**9)
    assert acme.api.patch(f"/v1/rate-limits/{made['id']}", {"limit": 1}).status_code == 400
    assert change(acme, made, limit=1, burst=1_000)["burst"] == 1_000
    model = make_model()
    action = {"kind": "llm.chat", "provider": "acme", "model": model}
    tokens = [{"input_tokens": tokens, "max_output_tokens": 0} for tokens in (600, 400, 1)]
    results = batch(acme, *[reserve_body(None, estimate=one, action=action) for one in tokens])
    assert tally(results) == {"201": 2, "rate_limited": 1}
    assert_sound(acme.id)


def test_an_incident_of_a_commit_says_whose_run_it_was_and_when_it_began(acme: Customer) -> None:
    acme.budget("1", scope="run", window="run", thresholds=(Threshold("pause", 50),))
    acme.reserved("0.1", subject={"run": "r"})
    acme.pass_time(seconds=30)
    held = acme.reserved("0.1", subject={"run": "child", "parent_run": "r"})
    assert acme.commit(held["id"], "0.9").status_code == 200
    found = incidents(acme)[0]
    assert (found["run"], found["target"]) == ("child", "r")
    assert 30_000 <= found["time_to_stop_ms"] < 600_000


def test_an_incident_of_a_window_without_a_beginning_does_not_begin_in_1970(acme: Customer) -> None:
    acme.budget("1", scope="agent", window="lifetime", thresholds=(Threshold("pause", 50),))
    acme.reserved("0.6")
    assert incidents(acme)[0]["time_to_stop_ms"] < 600_000


def test_a_process_that_did_not_know_of_a_policy_opens_no_second_incident(
    acme: Customer, gates: list[Gate]
) -> None:
    subject = {"run": "r"}
    acme.reserved("0.1", subject=subject)
    before = [(gate, gate.cache.peek(str(acme.id))) for gate in gates]
    make_policy(acme, max_seconds=1)
    acme.pass_time(seconds=10)
    assert code(acme.reserve("0.1", subject=subject)) == "run_ceiling_reached"
    for gate, config in before:  # another process, which has not looked since
        if config is not None:
            gate.cache._configs[str(acme.id)] = config
    assert code(acme.reserve("0.1", subject=subject)) == "run_ceiling_reached"
    assert [(one["trigger"], one["spent"]) for one in incidents(acme)] == [("run_ceiling", "0.1")]
    assert_sound(acme.id)


def test_a_run_named_like_another_is_not_stopped_in_its_place(acme: Customer) -> None:
    acme.reserved("1", subject={"run": "runaway"})
    identifier = acme.api.get("/v1/runs/runaway").json()["id"]
    acme.reserved("1", subject={"run": identifier})
    assert acme.api.post(f"/v1/runs/{identifier}/stop", {"reason": "it burns"}).status_code == 200
    assert code(acme.reserve("1", subject={"run": "runaway"})) == "blocked"
    assert code(acme.reserve("1", subject={"run": identifier})) is None


@pytest.mark.parametrize(
    ("action", "refusal"), [("pause", "paused"), ("require_approval", "approval_required")]
)
def test_what_is_reached_acts_from_the_decision_on_that_enforces_it(
    acme: Customer, action: str, refusal: str
) -> None:
    budget = acme.budget("10", mode="observe", thresholds=(Threshold(action, 50),))
    acme.reserved("6")
    acme.change_budget(budget, mode="enforce")
    assert [code(acme.reserve("1")) for _ in range(2)] == [refusal] * 2
    assert [one["mode"] for one in incidents(acme)] == ["enforce", "observe"]
    assert_sound(acme.id)


@pytest.mark.parametrize("end", ["archive", "off"])
def test_a_throttle_outlasts_the_limit_that_it_is_a_share_of(acme: Customer, end: str) -> None:
    made = limit(acme, 100, scope="agent")
    slow = Threshold("throttle", 50, rate_percent=1, rate_limit=made["id"])
    acme.budget("10", scope="agent", thresholds=(slow,))
    if end == "off":
        change(acme, made, mode="off")
    else:
        assert acme.api.post(f"/v1/rate-limits/{made['id']}/archive", {}).status_code == 200
    assert [code(acme.reserve(amount)) for amount in ("6", "0.1", "0.1")] == [None, None, "rate_limited"]
    assert_sound(acme.id)


def test_a_small_share_of_a_rate_is_slow_and_no_block(acme: Customer) -> None:
    made = limit(acme, 5, scope="agent", window="minute", burst=5)
    slow = Threshold("throttle", 50, rate_percent=10, rate_limit=made["id"])
    acme.budget("10", scope="agent", thresholds=(slow,))
    assert [code(acme.reserve(amount)) for amount in ("6", "0.1")] == [None, None]
    refused = acme.reserve("0.1")
    assert (code(refused), 110 <= refused.json()["retry_after"] <= 120) == ("rate_limited", True)
    acme.pass_time(seconds=120)
    assert code(acme.reserve("0.1")) is None

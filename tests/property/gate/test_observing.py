"""Observe mode tells, call by call, what enforce then does (S45).

One day of random calls is played to two organizations that differ in nothing but the mode of their rules. A call that
the shadow gate would have refused is made in the first organization and refused in the second; so only the first ends
it, and nothing that the shadow gate says later may depend on it. Each call is decided for both in one transaction, so
that both clocks say the same.
"""

import asyncio
import os
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from msgspec.structs import replace

from spend.operations.gate.apply import Gate
from spend.operations.gate.lanes import read_aside
from spend.operations.gate.wire import Wire
from spend.rules.budgets import Threshold
from spend.rules.commands import Action, Actual, Commit, Estimate, Release, Reserve, Subject
from spend.rules.commands import Caller as Asking
from spend.rules.effects import Answer
from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import caller
from tests.invariants import assert_sound

CALLS = int(os.environ.get("OBSERVED_CALLS", "300"))
AGENTS = ("bot", "crawler", "writer")
ACTIONS = ("notify", "block", "pause", "require_approval", "throttle", "cap")
ASKING = Asking("system:test")
UNIT = 10**8
Apply = Callable[[list[Any]], Awaitable[list[Answer]]]


@dataclass(frozen=True)
class Call:
    """One step of the day: seconds that pass, a reservation, and how it ends."""

    seconds: int
    command: Reserve
    ends: str
    amount: int


def make_rules(customer: Customer, mode: str, chance: random.Random) -> None:
    """Budgets, rate limits and a run policy, the same for the same chance."""
    admin = caller(customer.id)
    for scope, window in (
        ("organization", "hour"), ("agent", "day"), ("agent", "rolling"), ("user", "hour"), ("run", "run"),
    ):  # fmt: skip
        given: dict[str, Any] = {"rolling_seconds": 600} if window == "rolling" else {}
        levels = sorted(chance.sample(range(20, 100), chance.randrange(1, 4)))
        thresholds = (*(_threshold(level, chance) for level in levels), Threshold("block", 100))
        limit = str(chance.randrange(40, 160))
        customer.budget(limit, scope=scope, window=window, mode=mode, thresholds=thresholds, **given)
    for unit, window, burst, limit in (
        ("requests", "minute", None, 12), ("requests", "minute", 5, 12), ("tokens", "hour", None, 9_000),
        ("concurrent", None, None, 12), ("tool_calls", "hour", None, 12), ("requests", "day", None, 150),
    ):  # fmt: skip
        body = {"scope": chance.choice(("agent", "organization", "user")), "unit": unit, "limit": limit}
        body |= {"behaviour": "reject", "mode": mode}
        body |= {name: value for name, value in (("window", window), ("burst", burst)) if value is not None}
        if chance.random() < 0.4:
            body["escalate"] = {"denials": 4, "seconds": 120}
        body_of(admin.post("/v1/rate-limits", body), 201)
    levels = [{"repeats": 4, "action": "cap", "cooldown_ms": 5_000}, {"repeats": 8, "action": "stop"}]
    policy = {
        "scope": "agent", "mode": mode, "max_steps": 25, "max_seconds": 2_000, "max_depth": 1,
        "attempts": {"max": 3, "first_ms": 2_000, "longest_ms": 8_000}, "loop": {"window": 20, "levels": levels},
    }  # fmt: skip
    body_of(admin.post("/v1/run-policies", policy), 201)
    # The house's own rules, which hold where nobody enforces others, say nothing then.
    lenient = {
        "scope": "organization", "attempts": {"max": 100, "first_ms": 1, "longest_ms": 1},
        "loop": {"window": 50, "levels": [{"repeats": 50, "action": "warn"}]},
    }  # fmt: skip
    body_of(admin.post("/v1/run-policies", lenient), 201)


def _threshold(level: int, chance: random.Random) -> Threshold:
    action = chance.choice(ACTIONS)
    return Threshold(action, level, per_minute=3 if action == "throttle" else None)


RUNS = {f"r{number}": f"p{number % 2}" if number < 5 else None for number in range(9)}


def start_runs(customer: Customer) -> None:
    """When a run began, and below which other, is the same in both: the first call that is accepted says so."""
    for run, parent in RUNS.items():
        subject = {"run": run, **({"parent_run": parent} if parent is not None else {})}
        body_of(customer.release(customer.reserved("1", subject=subject)["id"]), 200)


def make_day(chance: random.Random) -> list[Call]:
    """Calls of a few agents, users and runs, in order."""
    return [
        Call(chance.choice((0, 0, 1, 2, 10, 40)), _command(chance), *_ending(chance)) for _ in range(CALLS)
    ]


def _ending(chance: random.Random) -> tuple[str, int]:
    return chance.choice(("commit", "commit", "commit", "release", "run out")), chance.randrange(0, 7) * UNIT


def _command(chance: random.Random) -> Reserve:
    subject = Subject(chance.choice(AGENTS))
    if chance.random() < 0.7:
        attempt = chance.choice((1, 1, 1, 2, 2, 3, 4))
        subject = replace(subject, run=chance.choice(list(RUNS)), step=chance.randrange(4), attempt=attempt)
    if chance.random() < 0.5:
        subject = replace(subject, user=f"u{chance.randrange(2)}")
    action = Action("custom", fingerprint=f"f{chance.randrange(3)}" if chance.random() < 0.5 else None)
    estimate = Estimate(amount=chance.randrange(1, 6) * UNIT)
    return Reserve(UUID(int=0), ASKING, None, subject, action, estimate, "USD", chance.choice((5, 60, 600)))


async def play(apply: Apply, watched: Customer, enforced: Customer, day: list[Call]) -> list[Any]:
    """The verdicts on each call in both, and the second by second of nobody's clock but theirs."""
    verdicts = []
    for call in day:
        if call.seconds:
            for customer in (watched, enforced):
                await asyncio.to_thread(customer.pass_time, seconds=call.seconds)
        pair = [replace(call.command, organization=customer.id) for customer in (watched, enforced)]
        answers = await apply(pair)
        verdicts.append(tuple(_verdict(answer) for answer in answers))
        endings = [
            _ends(call, customer, answer)
            for customer, answer in zip((watched, enforced), answers, strict=True)
            if answer.error is None and call.ends != "run out"
        ]
        for answer in await apply(endings) if endings else ():
            assert answer.error is None, answer.error
    return verdicts


def _ends(call: Call, customer: Customer, answer: Answer) -> Commit | Release:
    name = UUID((answer.body or {})["id"])
    if call.ends == "release":
        return Release(customer.id, ASKING, None, name)
    return Commit(customer.id, ASKING, None, name, "completed", Actual(amount=call.amount))


def _verdict(answer: Answer) -> tuple[str, ...]:
    """What refused a call, or would have: codes with scope and target."""
    if answer.error is not None:
        extra = answer.error.extra
        failing = [{**extra["binding"], "code": answer.error.code}, *extra["also_failing"]]
    else:
        warnings = (answer.body or {})["warnings"]
        failing = [{**one, "code": one["refusal"]} for one in warnings if one["code"] == "would_be_refused"]
    return tuple(sorted(f"{one['code']} {one['scope']} {one.get('target')}" for one in failing))


def test_the_shadow_gate_says_what_the_gate_then_does() -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    made = []
    for mode in ("observe", "enforce"):
        customer = make_customer("100000", agents=AGENTS)
        start_runs(customer)
        make_rules(customer, mode, random.Random(seed))
        made.append(customer)
    day = make_day(random.Random(seed))

    async def run() -> list[Any]:
        gate = Gate(read_aside)
        wire = await Wire.connect(settings.GATE_DATABASE_URL, lock_timeout_ms=2_000)
        try:
            return await play(lambda commands: gate.apply(wire, commands), *made, day)
        finally:
            wire.close()

    verdicts = asyncio.run(run())
    differing = [(place, pair) for place, pair in enumerate(verdicts) if pair[0] != pair[1]]
    assert differing == []
    told = [pair[1] for pair in verdicts]
    assert any(told) and not all(told)
    assert_sound(*(customer.id for customer in made))

"""Every use case of the gate with its connection cut at each statement, COMMIT too: whole or not at all, and the key
says which (S3, S4).
"""

import os
from collections.abc import Callable
from copy import copy
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from common.errors import GateUnavailable
from spend.operations.gate.apply import Expire
from spend.operations.gate.submit import submit
from spend.rules.budgets import Threshold
from spend.rules.commands import (
    Action,
    Actual,
    Caller,
    Commit,
    Estimate,
    Extend,
    RecordUsage,
    Release,
    RequestKey,
    Reserve,
    Subject,
)
from spend.rules.effects import Answer
from tests.builders.controls import make_limit, make_policy
from tests.builders.gate import Customer, make_customer, units
from tests.builders.orgs import unique
from tests.builders.wire import AFTER, BEFORE, decided_through_wire
from tests.invariants import assert_sound, picture, reading

CALLER = Caller(actor="system:test")
LADDER = tuple(
    Threshold(action, amount=units(level))
    for action, level in (("notify", "0.1"), ("cap", "0.2"), ("pause", "0.3"), ("require_approval", "0.4"))
)
LOOP = {"window": 10, "levels": [{"repeats": 2, "action": "stop"}]}
SUBJECT = Subject("bot", run="r", user="u")


def request_key() -> RequestKey:
    key = unique()
    return RequestKey(key, key.encode().ljust(32, b"0"))


def reserve(customer: Customer, seconds: int = 3_600) -> Reserve:
    return Reserve(
        customer.id, CALLER, request_key(), SUBJECT, Action("custom"), Estimate(amount=units("1")), "USD",
        ttl_seconds=seconds,
    )  # fmt: skip


def commit(customer: Customer) -> Commit:
    return Commit(
        customer.id, CALLER, request_key(), held(customer), "completed", Actual(amount=units("1.5"))
    )


def release(customer: Customer) -> Release:
    return Release(customer.id, CALLER, request_key(), held(customer))


def extend(customer: Customer) -> Extend:
    return Extend(customer.id, CALLER, request_key(), held(customer), 7_200)


def usage(customer: Customer) -> RecordUsage:
    with reading() as connection:
        (now,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    return RecordUsage(
        customer.id, CALLER, request_key(), "test", unique(), b"0" * 16, SUBJECT, Action("custom"), "completed",
        Actual(amount=units("0.5")), now,
    )  # fmt: skip


def expiry(customer: Customer) -> Expire:
    held(customer, seconds=60)
    customer.pass_time(seconds=60)
    return Expire(customer.id)


def held(customer: Customer, seconds: int = 3_600) -> UUID:
    answer = again(reserve(customer, seconds))
    assert answer.body is not None, answer.error
    return UUID(answer.body["id"])


def statements_of(command: Any) -> int:
    """How many statements the call takes with a process's first look at the organization."""
    return decided_through_wire(command, os.environ["GATE_DATABASE_URL"])[1]


def attempt(command: Any, *, cut_at: int, how: str) -> Answer | None:
    """The answer, or None when the connection was lost on the way."""
    try:
        return decided_through_wire(command, os.environ["GATE_DATABASE_URL"], cut_at=cut_at, how=how)[0]
    except GateUnavailable:
        return None


def again(command: Any) -> Answer:
    """The answer over a lane's sound connection."""
    return submit([command])[0]


@pytest.mark.parametrize("how", [BEFORE, AFTER])
@pytest.mark.parametrize("make", [reserve, commit, release, extend, usage, expiry])
def test_a_cut_at_any_statement_leaves_all_or_nothing(make: Callable[[Customer], Any], how: str) -> None:
    customer = make_customer("1000")
    customer.budget("1000", scope="run", window="run")
    customer.budget("1000")
    total = statements_of(make(customer))
    assert total >= 6  # begin, lock, reads, write, commit
    outcomes = []
    for number in range(1, total + 1):
        command = make(customer)
        before = picture(customer.id)
        assert attempt(command, cut_at=number, how=how) is None
        after = picture(customer.id)
        answer = again(command)
        assert answer.error is None
        if isinstance(command, Expire):
            outcomes.append(after != before)
            assert again(copy(command)).error is None
        else:
            assert answer.replayed == (after != before)
            outcomes.append(answer.replayed)
        done = picture(customer.id)
        assert done == after if outcomes[-1] else done != before
        assert_sound(customer.id)
    # only an answer to COMMIT that is lost leaves an effect behind
    assert outcomes == [False] * (total - 1) + [how == AFTER]


def ruled_customer() -> Customer:
    """Rules of every kind that stand in the way of nothing yet."""
    customer = make_customer("1000")
    customer.budget("1000", scope="run", window="run", thresholds=LADDER)
    customer.budget("1000", mode="observe")
    make_limit(customer, scope="organization", unit="requests", window="second", limit=10_000)
    make_limit(customer, scope="agent", unit="requests", window="day", limit=100_000)
    make_limit(customer, scope="organization", unit="concurrent", limit=10_000)
    make_policy(customer, max_steps=10_000, attempts={"max": 3}, loop=LOOP)
    return customer


def crossing(customer: Customer) -> Reserve:
    """A call that crosses levels which notify, cap, pause and wait, in a run of its own, and begins a loop."""
    return replace(
        reserve(customer),
        subject=Subject("bot", run=unique(), step=1, attempt=1),
        estimate=Estimate(amount=units("0.9")),
    )


def exceeding(customer: Customer) -> Commit:
    """A commit of more than was held, which crosses the same levels."""
    held_for = replace(
        reserve(customer), subject=Subject("bot", run=unique()), estimate=Estimate(amount=units("0.01"))
    )
    answer = again(held_for)
    assert answer.body is not None, answer.error
    name = UUID(answer.body["id"])
    return Commit(customer.id, CALLER, request_key(), name, "completed", Actual(amount=units("0.95")))


def escalating(customer: Customer) -> Reserve:
    """A call that a limit refuses for the last time before it pauses its user."""
    user = unique()
    make_limit(
        customer,
        scope="user",
        target=user,
        unit="requests",
        window="day",
        limit=1,
        escalate={"denials": 2, "seconds": 60},
    )
    command = replace(reserve(customer), subject=Subject("bot", user=user))
    assert again(command).error is None
    assert again(replace(command, key=request_key())).status == 429
    return replace(command, key=request_key())


def trying(customer: Customer) -> Reserve:
    """A call that opens the incident of a step with too many attempts."""
    return replace(reserve(customer), subject=Subject("bot", run=unique(), step=1, attempt=9))


def looping(customer: Customer) -> Reserve:
    """A call that stops its run because it repeats itself."""
    command = replace(
        reserve(customer), subject=Subject("bot", run=unique()), action=Action("custom", fingerprint="f"),
        estimate=Estimate(amount=units("0.01")),
    )  # fmt: skip
    assert again(command).error is None
    return replace(command, key=request_key())


def told_of(customer: Customer) -> list[tuple[str, int]]:
    """What rules did by themselves, by kind of event."""
    with reading() as connection:
        rows: list[tuple[str, int]] = connection.execute(
            "SELECT type, count(*) FROM v_events WHERE organization = %s AND split_part(type, '.', 1) = ANY(%s) "
            "GROUP BY type ORDER BY type",
            (customer.id, ["threshold", "approval", "incident", "switch", "strike", "run_mark"]),
        ).fetchall()
    return rows


@pytest.mark.parametrize("how", [BEFORE, AFTER])
@pytest.mark.parametrize("make", [crossing, exceeding])
def test_what_a_call_leads_to_is_cut_with_it(make: Callable[[Customer], Any], how: str) -> None:
    customer = ruled_customer()
    total = statements_of(make(customer))
    for number in range(1, total + 1):
        command = make(customer)
        before, told = picture(customer.id), told_of(customer)
        assert attempt(command, cut_at=number, how=how) is None
        is_there = number == total and how == AFTER
        assert (picture(customer.id) != before, told_of(customer) != told) == (is_there, is_there)
        answer = again(command)
        assert (answer.error, answer.replayed) == (None, is_there)
        left = {kind: many - dict(told).get(kind, 0) for kind, many in told_of(customer)}
        assert left == {
            "threshold.crossed": 4, "approval.requested": 1, "incident.opened": 2, "switch.set": 1,
        }  # fmt: skip
        assert_sound(customer.id)


@pytest.mark.parametrize("how", [BEFORE, AFTER])
@pytest.mark.parametrize(
    ("make", "status", "code", "leads_to"),
    [
        (escalating, 429, "rate_limited", ["incident.opened", "strike.counted", "switch.set"]),
        (trying, 403, "attempts_exceeded", ["incident.opened", "run_mark.set"]),
        (looping, 403, "loop_detected", ["incident.opened", "run_mark.set", "switch.set"]),
    ],
)
def test_what_a_denial_leads_to_is_cut_with_it(
    make: Callable[[Customer], Any], status: int, code: str, leads_to: list[str], how: str
) -> None:
    """Once: asked again after a lost answer, the call is refused by what the first refusal set."""
    customer = ruled_customer()
    total = statements_of(make(customer))
    for number in range(1, total + 1):
        command = make(customer)
        before, told = picture(customer.id), told_of(customer)
        assert attempt(command, cut_at=number, how=how) is None
        is_there = number == total and how == AFTER
        assert (picture(customer.id) != before, told_of(customer) != told) == (is_there, is_there)
        answer = again(command)
        assert answer.error is not None
        if not is_there:
            assert (answer.status, answer.error.code) == (status, code)
        assert answer.error.status in (403, 429)
        left = {kind: many - dict(told).get(kind, 0) for kind, many in told_of(customer)}
        assert [kind for kind, many in left.items() if many] == leads_to
        assert set(left.values()) <= {0, 1}
        assert_sound(customer.id)

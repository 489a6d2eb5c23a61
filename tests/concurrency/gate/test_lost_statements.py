"""Every use case of the gate with its connection cut at each statement, COMMIT too: whole or not at all, and the key
says which (S3, S4).
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from common.errors import GateUnavailable
from spend.operations.gate.apply import Expire
from spend.operations.gate.submit import submit
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
from tests.builders.gate import Customer, make_customer, units
from tests.builders.orgs import unique
from tests.builders.wire import AFTER, BEFORE, decided_through_wire
from tests.invariants import assert_sound, picture, reading

CALLER = Caller(actor="system:test")
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
            assert again(replace(command)).error is None
        else:
            assert answer.replayed == (after != before)
            outcomes.append(answer.replayed)
        done = picture(customer.id)
        assert done == after if outcomes[-1] else done != before
        assert_sound(customer.id)
    # only an answer to COMMIT that is lost leaves an effect behind
    assert outcomes == [False] * (total - 1) + [how == AFTER]

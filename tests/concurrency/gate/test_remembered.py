"""What a process remembers of an organization is believed only while nobody else has written, and after no failure."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from common.errors import GateUnavailable
from spend.operations.entitling import publish_entitlement
from spend.operations.gate.apply import Gate
from spend.operations.gate.lanes import read_aside
from spend.operations.gate.memory import MAX_SECONDS, PATIENCE
from spend.operations.gate.submit import submit
from spend.operations.gate.wire import Wire
from spend.rules.commands import (
    Action,
    Actual,
    Caller,
    Commit,
    Estimate,
    Extend,
    Release,
    RequestKey,
    Reserve,
    Subject,
)
from spend.rules.effects import Answer
from spend.rules.entitled import Entitled
from tests.builders.gate import Customer, make_customer, units
from tests.builders.orgs import AUTHOR, unique, write
from tests.builders.wire import AFTER, BEFORE, Proxy
from tests.invariants import assert_sound, picture, reading

CALLER = Caller(actor="system:test")
ORDINARY = 6
"""Statements of one round trip: begin, lock, make sure, write, the last number, commit."""


def request_key() -> RequestKey:
    key = unique()
    return RequestKey(key, key.encode().ljust(32, b"0"))


def reserve(customer: Customer, amount: str = "1", *, run: str | None = None, seconds: int = 600) -> Reserve:
    return Reserve(
        customer.id, CALLER, request_key(), Subject("bot", run=run), Action("custom"),
        Estimate(amount=units(amount)), "USD", ttl_seconds=seconds,
    )  # fmt: skip


def commit(customer: Customer, answer: Answer, amount: str = "1") -> Commit:
    return Commit(
        customer.id, CALLER, request_key(), named(answer), "completed", Actual(amount=units(amount))
    )


def named(answer: Answer) -> UUID:
    assert answer.body is not None, answer.error
    return UUID(answer.body["id"])


def code(answer: Answer) -> str:
    return answer.error.code if answer.error is not None else "granted"


class Process:
    """A gate with what it remembers, whose connection may be cut at a statement of its next call."""

    def __init__(self) -> None:
        self.gate = Gate(read_aside)
        self._proxy: Proxy | None = None
        self._wire: Wire | None = None

    async def ask(self, *commands: Any, cut_at: int | None = None, how: str = BEFORE) -> list[Answer]:
        """The answers. Raises GateUnavailable when the connection was lost; the next call gets a new one."""
        if self._proxy is None or self._wire is None or not self._wire.is_open:
            self.close()
            self._proxy = Proxy(os.environ["GATE_DATABASE_URL"])
            self._wire = await Wire.connect(self._proxy.url, lock_timeout_ms=2_000)
        self._proxy.statements, self._proxy.cut_at, self._proxy.how = 0, cut_at, how
        return await self.gate.apply(self._wire, commands)

    async def one(self, command: Any) -> Answer:
        (answer,) = await self.ask(command)
        return answer

    @property
    def statements(self) -> int:
        assert self._proxy is not None
        return self._proxy.statements

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        if self._proxy is not None:
            self._proxy.close()

    async def warm_up(self, customer: Customer) -> None:
        """Call until an ordinary call takes one round trip."""
        for _ in range(6):
            await self.one(reserve(customer, "0.001"))
        assert self.statements == ORDINARY


def told(story: Callable[[Process], Awaitable[None]]) -> None:
    async def run() -> None:
        process = Process()
        try:
            await story(process)
        finally:
            process.close()

    asyncio.run(run())


def by_another_process(commands: Sequence[Any]) -> list[Answer]:
    """What the lanes of this process answer: they remember for themselves."""
    return submit(commands)


def test_an_ordinary_call_takes_one_round_trip() -> None:
    customer = make_customer("100")
    customer.budget("90")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        answer = await process.one(reserve(customer, run="new"))
        assert (code(answer), process.statements) == ("granted", ORDINARY)
        answer = await process.one(reserve(customer, run="new"))
        assert (code(answer), process.statements) == ("granted", ORDINARY)
        await process.one(commit(customer, answer))
        assert process.statements == ORDINARY
        answers = await process.ask(*[reserve(customer) for _ in range(5)])
        assert process.statements == ORDINARY
        await process.ask(*[Release(customer.id, CALLER, request_key(), named(answer)) for answer in answers])
        assert process.statements == ORDINARY

    told(story)
    assert_sound(customer.id)


def entitle(customer: Customer, **features: Any) -> None:
    """Publish what a plan would."""
    wanted = Entitled(features, dict.fromkeys(features, "plan:test@1"))
    write(lambda cur: publish_entitlement(cur, organization=customer.id, wanted=wanted, author=AUTHOR))


def test_an_ordinary_call_of_a_customer_with_entitlements_takes_no_more() -> None:
    customer = make_customer("100")
    entitle(customer, allowed_models=("small",), allowed_tools=(), agents_enabled=True, max_agents=5)

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        answer = await process.one(reserve(customer, run="new"))
        assert (code(answer), process.statements) == ("granted", ORDINARY)
        await process.one(commit(customer, answer))
        assert process.statements == ORDINARY

    told(story)
    entitle(customer)  # no plan says any of it
    assert_sound(customer.id)


def test_what_a_plan_takes_away_is_obeyed_by_a_process_that_remembers() -> None:
    customer = make_customer("100")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        await asyncio.to_thread(entitle, customer, agents_enabled=False)
        assert code(await process.one(reserve(customer))) == "not_permitted"
        await asyncio.to_thread(entitle, customer, agents_enabled=True)
        assert code(await process.one(reserve(customer))) == "granted"

    told(story)
    entitle(customer)  # no plan says any of it
    assert_sound(customer.id)


def test_what_another_process_holds_is_seen_at_once() -> None:
    customer = make_customer("10")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        (other,) = await asyncio.to_thread(by_another_process, [reserve(customer, "9")])
        assert code(other) == "granted"
        assert code(await process.one(reserve(customer, "5"))) == "budget_busy"
        await asyncio.to_thread(by_another_process, [commit(customer, other, "9")])
        assert code(await process.one(reserve(customer, "5"))) == "credit_exhausted"
        await asyncio.to_thread(customer.grant, "5")
        assert code(await process.one(reserve(customer, "5"))) == "granted"

    told(story)
    assert_sound(customer.id)


def test_what_another_process_has_changed_is_obeyed_at_once() -> None:
    customer = make_customer("100")
    budget = customer.budget("50")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        await asyncio.to_thread(customer.change_budget, budget, limit="0.5")
        assert code(await process.one(reserve(customer))) == "too_large"
        await asyncio.to_thread(customer.change_budget, budget, limit="60")
        assert code(await process.one(reserve(customer))) == "granted"

    told(story)
    assert_sound(customer.id)


def test_processes_that_take_turns_never_pass_a_limit() -> None:
    customer = make_customer("1000")
    customer.budget("30")

    async def story(process: Process) -> None:
        other, granted = Process(), 0
        try:
            for number in range(60):
                # turns of uneven length, so that both remember between them
                who = process if number % 23 < 17 else other
                granted += code(await who.one(reserve(customer))) == "granted"
        finally:
            other.close()
        assert granted == 30

    told(story)
    assert_sound(customer.id)


@pytest.mark.parametrize("how", [BEFORE, AFTER])
@pytest.mark.parametrize("cut_at", range(1, ORDINARY + 1))
def test_nothing_is_remembered_of_a_call_that_was_cut(cut_at: int, how: str) -> None:
    customer = make_customer("10")
    is_there = cut_at == ORDINARY and how == AFTER

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        command, before = reserve(customer, "4"), picture(customer.id)
        with pytest.raises(GateUnavailable):
            await process.ask(command, cut_at=cut_at, how=how)
        assert (picture(customer.id) != before) == is_there
        again = await process.one(command)
        assert (code(again), again.replayed) == ("granted", is_there)
        codes = [code(await process.one(reserve(customer, "4"))) for _ in range(3)]
        assert codes == ["granted", "budget_busy", "budget_busy"]

    told(story)
    assert_sound(customer.id)


def test_a_key_that_was_used_before_is_answered_as_it_was() -> None:
    customer = make_customer("100")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        command = reserve(customer)
        (first,) = await asyncio.to_thread(by_another_process, [command])
        await process.one(reserve(customer))
        again, other = await process.ask(command, reserve(customer))
        assert again.replayed
        assert json.loads(again.packed or b"")["id"] == str(named(first))
        assert (code(other), other.replayed) == ("granted", False)

    told(story)
    assert_sound(customer.id)


def test_a_run_that_another_process_began_is_found() -> None:
    customer = make_customer("100")
    customer.budget("3", scope="run", window="run")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        await asyncio.to_thread(by_another_process, [reserve(customer, "2", run="shared")])
        await process.one(reserve(customer, run="own"))
        for _ in range(PATIENCE):
            await process.one(reserve(customer, "0.001", run="own"))
        assert code(await process.one(reserve(customer, "1", run="shared"))) == "granted"
        assert code(await process.one(reserve(customer, "1", run="shared"))) == "budget_busy"

    told(story)
    assert_sound(customer.id)


def test_what_expires_is_free_at_its_moment() -> None:
    customer = make_customer("3")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        held = await process.one(reserve(customer, "2", seconds=1))
        assert process.statements == ORDINARY
        assert code(await process.one(reserve(customer, "2"))) == "budget_busy"
        await asyncio.sleep(1.05)
        assert code(await process.one(reserve(customer, "2"))) == "granted"
        late = await process.one(commit(customer, held, "0.5"))
        assert late.body is not None
        assert late.body["late"]

    told(story)
    assert_sound(customer.id)


def test_what_one_has_ended_cannot_be_ended_again() -> None:
    customer = make_customer("100")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        held = await process.one(reserve(customer))
        assert code(await process.one(commit(customer, held))) == "granted"
        assert code(await process.one(commit(customer, held))) == "reservation_finalized"

    told(story)
    assert_sound(customer.id)


def test_a_pause_by_somebody_stops_the_next_call() -> None:
    customer = make_customer("100", scopes=("spend:write", "spend:read", "admin"))

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        paused = await asyncio.to_thread(customer.api.post, "/v1/agents/bot/pause", {"reason": "stop"})
        assert paused.status_code == 200, paused.content
        assert code(await process.one(reserve(customer))) == "paused"

    told(story)
    assert_sound(customer.id)


def test_a_change_by_hand_is_seen_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    customer = make_customer("100")

    async def story(process: Process) -> None:
        await process.warm_up(customer)
        later = time.monotonic() + MAX_SECONDS + 1
        monkeypatch.setattr("spend.operations.gate.memory.time.monotonic", lambda: later)
        await process.one(reserve(customer))
        assert process.statements > ORDINARY

    told(story)


def rows_of(customer: Customer, query: str) -> list[Any]:
    with reading() as connection:
        return connection.execute(query, (customer.id,)).fetchall()


def assert_remembered_as_read(process: Process, customer: Customer) -> None:
    known = process.gate.memory.find(str(customer.id))
    assert known is not None
    state, books = known.state, known.state.books
    assert books.line is not None
    counters = (
        "SELECT number, held, spent, armed, fired, approved FROM budget_counters WHERE organization = %s"
    )
    told = [(c.number, c.held, c.spent, c.armed, c.fired, c.approved) for c in state.counters.values()]
    assert sorted(told) == sorted(rows_of(customer, counters))
    assert {c.number: c for c in state.counters.values()} == state.counters_by_number
    assert not known.is_numbered or state.last_counter == max(state.counters_by_number)
    accounts = "SELECT id::text, posted, held, debt FROM accounts WHERE organization = %s AND live ORDER BY 1"
    told_accounts = [(one.id, one.posted, one.held, one.debt) for one in (books.credit, books.line)]
    assert set(told_accounts) <= set(rows_of(customer, accounts))
    grants = "SELECT id::text, remaining, held FROM credit_grants WHERE organization = %s AND remaining > 0"
    assert {(g.id, g.remaining, g.held) for g in books.grants} == set(rows_of(customer, grants))
    active = """SELECT id::text, version, held, expires_at FROM reservations
        WHERE organization = %s AND status = 'active'"""
    told_active = {(r.id, r.version, r.held, r.expires_at) for r in state.reservations.values()}
    assert told_active == set(rows_of(customer, active))
    assert known.until is None or all(known.until <= r.expires_at for r in state.reservations.values())


def test_what_is_remembered_is_what_is_written() -> None:
    """Over grants that are used up, a line that comes after them, budgets of every scope and runs."""
    customer = make_customer("30", funding="postpaid", credit_limit=units("1000"))
    customer.grant("5")
    for scope, window in (("organization", "day"), ("agent", "month"), ("run", "run"), ("user", "lifetime")):
        customer.budget("900", scope=scope, window=window)
    random, held = Random(14), list[Answer]()

    def command(number: int) -> Any:
        if held and random.random() < 0.5:
            answer = held.pop(random.randrange(len(held)))
            kind = random.random()
            if kind < 0.7:
                return commit(customer, answer, random.choice(("0.2", "1", "2")))
            if kind < 0.85:
                return Release(customer.id, CALLER, request_key(), named(answer))
            held.append(answer)
            return Extend(customer.id, CALLER, request_key(), named(answer), 900)
        subject = Subject("bot", run=f"r{number // 7}", user=f"u{number % 2}")
        return replace(reserve(customer, "2"), subject=subject)

    async def story(process: Process) -> None:
        ahead = 0
        for number in range(60):
            asked = [command(number * 2 + place) for place in range(2)]
            answers = await process.ask(*asked)
            assert [code(answer) for answer in answers] == ["granted", "granted"]
            held.extend(answer for answer in answers if answer.status == 201)
            ahead += process.statements == ORDINARY
            if process.statements == ORDINARY:
                assert_remembered_as_read(process, customer)
        assert ahead > 40

    told(story)
    assert_sound(customer.id)

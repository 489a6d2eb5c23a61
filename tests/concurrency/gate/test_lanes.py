"""Callers of one process: those who come while their organization's transaction runs share the next one."""

import asyncio
import os
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from msgspec.structs import replace

from common.errors import GateUnavailable
from common.ids import new_id
from events.store import Cursor
from spend.operations.gate.apply import Commands, Gate
from spend.operations.gate.lanes import MAX_COMMANDS, Call, Lane, Lanes, read_aside
from spend.operations.gate.submit import submit
from spend.operations.gate.wire import Wire
from spend.queries import gate_config
from spend.rules.commands import (
    Action,
    Actual,
    Caller,
    Commit,
    Estimate,
    RecordUsage,
    RequestKey,
    Reserve,
    Subject,
)
from spend.rules.effects import Answer
from tests.builders.crowd import at_once
from tests.builders.gate import Customer, make_customer, units
from tests.builders.orgs import unique, write
from tests.invariants import assert_sound

CALLER = Caller(actor="system:test")


def reserve(customer: Customer, amount: str = "1") -> Reserve:
    key = unique()
    return Reserve(
        customer.id, CALLER, RequestKey(key, key.encode().ljust(32, b"0")), Subject("bot"), Action("custom"),
        Estimate(amount=units(amount)), "USD",
    )  # fmt: skip


def reserve_of(organization: UUID) -> Reserve:
    return Reserve(organization, CALLER, None, Subject("bot"), Action("custom"), Estimate(amount=1), "USD")


def codes(answers: list[Answer]) -> Counter[str]:
    return Counter(answer.error.code if answer.error else "granted" for answer in answers)


class TestManyCallersOfOneOrganization:
    def test_get_exactly_what_there_is(self) -> None:
        customer = make_customer("40")
        answers = at_once(lambda _: submit([reserve(customer), reserve(customer)]), callers=64)
        assert codes([answer for pair in answers for answer in pair]) == {"granted": 40, "budget_busy": 88}
        assert_sound(customer.id, within_limits=True)

    def test_each_get_their_own_answer(self) -> None:
        customer = make_customer("1000")
        amounts = [str(1 + place % 5) for place in range(40)]
        answers = at_once(lambda place: submit([reserve(customer, amounts[place])])[0], callers=40)
        assert [answer.body["held"] for answer in answers if answer.body] == amounts

    def test_are_not_stopped_by_one_that_nobody_can_answer(self) -> None:
        customer = make_customer("1000")
        unpriced = Reserve(
            customer.id, CALLER, None, Subject("nobody"), Action("custom"), Estimate(amount=1), "USD"
        )
        answers = at_once(
            lambda place: submit([unpriced if place % 8 == 0 else reserve(customer)])[0], callers=32
        )
        assert codes(answers) == {"granted": 28, "not_found": 4}


class SlowGate(Gate):
    """Answers with the place of each command in its transaction, after `go`; remembers what came together."""

    def __init__(self) -> None:
        super().__init__(read_aside)
        self.go, self.together = asyncio.Event(), []

    async def apply(self, wire: Wire, commands: Commands) -> list[Answer]:
        self.together.append(len(commands))
        await self.go.wait()
        if any(command == "broken" for command in commands):
            raise ZeroDivisionError
        return [Answer(200, {"n": place}) for place, _ in enumerate(commands)]


def lane_of(gate: Gate) -> Lane:
    return Lane(gate, lock_timeout_ms=50, blocked=lambda _: None, is_blocked=lambda _: False)


async def waiting(lane: Lane, organization: UUID, sizes: list[int]) -> list[Call]:
    """Calls of so many commands each; the first one's transaction runs."""
    calls = []
    for size in sizes:
        calls.append(Call(organization, ["command"] * size))
        lane.add(calls[-1])
        await asyncio.sleep(0.2 if len(calls) == 1 else 0)
    return calls


class TestALane:
    def test_has_those_who_wait_decided_at_once(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            calls = await waiting(lane, new_id(), [3] * 10)
            gate.go.set()
            answers = await asyncio.gather(*(call.answers for call in calls))
            assert gate.together == [3, 27]
            assert [answer.body["n"] for three in answers[1:] for answer in three if answer.body] == list(
                range(27)
            )
            await lane.drain()

        asyncio.run(story())

    def test_answers_when_the_next_transaction_is_on_its_way(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            first, second = await waiting(lane, new_id(), [1, 2])
            begun: list[int] = []
            first.answers.add_done_callback(lambda _: begun.extend(gate.together))
            gate.go.set()
            await asyncio.gather(first.answers, second.answers)
            assert begun == [1, 2]
            await lane.drain()

        asyncio.run(story())

    def test_takes_no_more_than_fit_into_a_transaction(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            calls = await waiting(lane, new_id(), [100, 100, 100, 100, 500, 1])
            gate.go.set()
            await asyncio.gather(*(call.answers for call in calls))
            assert gate.together == [100, 200, 100, 500, 1]
            assert MAX_COMMANDS == 256
            await lane.drain()

        asyncio.run(story())

    def test_decides_nothing_for_those_who_have_gone(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            calls = await waiting(lane, new_id(), [1, 1, 1])
            calls[1].answers.cancel()
            calls[2].deadline = 0
            gate.go.set()
            assert len(await calls[0].answers) == 1
            with pytest.raises(GateUnavailable):
                await calls[2].answers
            assert gate.together == [1]
            await lane.drain()

        asyncio.run(story())

    def test_refuses_at_once_when_too_many_wait(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            await waiting(lane, new_id(), [1, 10_000])
            with pytest.raises(GateUnavailable) as refused:
                lane.add(Call(new_id(), ["command"]))
            assert refused.value.retry_after == 1
            gate.go.set()
            await lane.drain()

        asyncio.run(story())

    def test_answers_all_that_wait_before_it_ends(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            calls = await waiting(lane, new_id(), [1, 1, 1])
            ending = asyncio.create_task(lane.drain())
            gate.go.set()
            await ending
            assert all(call.answers.done() for call in calls)
            assert not lane.is_busy

        asyncio.run(story())

    def test_tells_each_caller_of_its_own_failure_only(self) -> None:
        async def story() -> None:
            gate = SlowGate()
            lane = lane_of(gate)
            calls = await waiting(lane, new_id(), [1, 1])
            broken = Call(new_id(), ["broken"])
            lane.add(broken)
            gate.go.set()
            answers = await asyncio.gather(
                *(call.answers for call in (*calls, broken)), return_exceptions=True
            )
            assert [type(answer) for answer in answers] == [list, list, ZeroDivisionError]
            assert gate.together == [1, 2, 1, 1]
            await lane.drain()

        asyncio.run(story())


class HalvedGate(Gate):
    """Decides one command at a time, in which `locked` never has its turn; remembers how many it was given."""

    def __init__(self, locked: Reserve) -> None:
        super().__init__(read_aside)
        self.locked, self.asked = locked, list[int]()

    async def _once(self, wire: Wire, commands: Commands) -> list[Answer]:
        self.asked.append(len(commands))
        if len(commands) > 1:
            raise ZeroDivisionError
        if commands[0] is self.locked:
            raise GateUnavailable
        return [Answer(200)]


class TestABatchThatIsDecidedInHalves:
    def test_is_not_decided_again_when_the_second_cannot_be(self) -> None:
        first, locked, last = (reserve_of(new_id()) for _ in range(3))
        gate, wire = HalvedGate(locked), Wire.__new__(Wire)
        answers = asyncio.run(gate.apply(wire, [first, locked, last]))
        assert [answer.status for answer in answers] == [200, 503, 503]
        assert gate.asked == [3, 1, 2, 1]

    def test_is_left_alone_when_the_first_cannot_be(self) -> None:
        locked, last = reserve_of(new_id()), reserve_of(new_id())
        with pytest.raises(GateUnavailable):
            asyncio.run(HalvedGate(locked).apply(Wire.__new__(Wire), [locked, last]))


class TestClosedLanes:
    def test_take_no_more_calls(self) -> None:
        customer = make_customer()

        async def story() -> None:
            lanes = Lanes(count=2)
            assert codes(await lanes.submit([reserve(customer)])) == {"granted": 1}
            await lanes.close()
            with pytest.raises(GateUnavailable):
                await lanes.submit([reserve(customer)])

        asyncio.run(story())


class TestCommandsOfSeveralOrganizations:
    def test_are_answered_in_their_order(self) -> None:
        one, other = make_customer("2"), make_customer("1")
        commands = [reserve(one), reserve(other), reserve(other), reserve(one), reserve(one)]
        assert [answer.error and answer.error.code for answer in submit(commands)] == [
            None, None, "budget_busy", None, "budget_busy",
        ]  # fmt: skip


class CountingGate(Gate):
    """Counts its transactions."""

    transactions = 0

    async def _once(self, wire: Wire, commands: Commands) -> list[Answer]:
        self.transactions += 1
        return await super()._once(wire, commands)


class TestACommandThatTheDatabaseRefuses:
    def decided(self, commands: list[Any]) -> tuple[list[Answer], int]:
        async def story() -> tuple[list[Answer], int]:
            wire = await Wire.connect(settings.GATE_DATABASE_URL, lock_timeout_ms=1_000)
            gate = CountingGate(read_aside)
            answers = await gate.apply(wire, commands)
            wire.close()
            return answers, gate.transactions

        return asyncio.run(story())

    def test_fails_alone_whatever_is_wrong_with_it(self) -> None:
        customer = make_customer("1000")
        odd = replace(reserve(customer), subject=Subject("bot", user="a\x00b"))
        answers, _ = self.decided([reserve(customer), odd, reserve(customer)])
        assert [answer.error and answer.error.code for answer in answers] == [None, "internal_error", None]
        assert_sound(customer.id)

    def test_costs_the_others_of_its_batch_few_transactions(self) -> None:
        customer = make_customer("1000")
        commands = [reserve(customer, "0.01") for _ in range(300)]
        commands[77] = replace(commands[77], subject=Subject("bot", user="a\x00b"))
        answers, transactions = self.decided(commands)
        assert codes(answers) == {"granted": 299, "internal_error": 1}
        assert transactions < 30
        assert_sound(customer.id)


class TestAmountsThatTheBooksCannotHold:
    def decided(self, commands: list[Any]) -> tuple[list[Answer], int]:
        return TestACommandThatTheDatabaseRefuses().decided(commands)

    def test_are_refused_without_a_transaction_each(self) -> None:
        customer = make_customer("100")
        facts: list[Any] = [
            RecordUsage(
                customer.id, CALLER, None, "export", unique(), b"p" * 16, Subject("bot"), Action("custom"),
                "completed", Actual(amount=5 * 10**18 if place % 2 else 1), datetime.now(UTC),
            )
            for place in range(100)
        ]  # fmt: skip
        (held,) = submit([reserve(customer)])
        assert held.body is not None
        commit = Commit(
            customer.id, CALLER, None, UUID(held.body["id"]), "completed", Actual(amount=6 * 10**18)
        )
        answers, transactions = self.decided([*facts, commit])
        assert codes(answers) == {"granted": 51, "amount_out_of_range": 50}
        assert transactions == 1
        assert_sound(customer.id)

    def test_are_refused_by_a_line_without_a_limit(self) -> None:
        customer = make_customer("0", funding="postpaid", credit_limit=None)
        answers, transactions = self.decided([reserve(customer, "50000000000") for _ in range(20)])
        assert codes(answers) == {"granted": 1, "amount_out_of_range": 19}
        assert transactions == 1
        assert_sound(customer.id)


class TestWhatCallersName:
    def test_and_what_nobody_knows_does_not_fill_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for limit in ("MAX_MODELS", "MAX_CARDS", "MAX_SUBJECTS", "MAX_RUNS", "MAX_PLACES"):
            monkeypatch.setattr(gate_config, limit, 20)
        customer = make_customer("1000")

        def of_something_new(place: int) -> Reserve:
            asked = reserve(customer, "0.01")
            if place % 2:
                return replace(asked, subject=Subject(unique()))
            action = Action("llm.chat", provider="acme", model=unique())
            return replace(asked, action=action, subject=Subject("bot", run=unique(), user=unique()))

        async def story() -> None:
            lanes = Lanes(count=1)
            for _ in range(2):
                answers = await lanes.submit([of_something_new(place) for place in range(100)])
                assert codes(answers) == {"granted": 50, "not_found": 50}
            cache = lanes.gate.cache
            config = cache.peek(str(customer.id))
            assert config is not None
            kept = [cache._entries, config.cards, config.runs, config.places]
            assert max(map(len, kept)) <= 22
            # subjects are read for a whole transaction at once: what it names comes on top
            assert max(map(len, config.subjects.values())) <= 22 + 50
            await lanes.close()

        asyncio.run(story())


def runs_of(customer: Customer) -> list[tuple[str, str | None, str]]:
    """Every run with its parent and the root of its tree."""

    def read(cur: Cursor) -> list[tuple[Any, ...]]:
        cur.execute(
            "SELECT r.key, p.key, t.key FROM runs r LEFT JOIN runs p ON p.id = r.parent_id"
            " JOIN runs t ON t.id = r.root_id WHERE r.organization = %s ORDER BY 1",
            (customer.id,),
        )
        return cur.fetchall()

    return write(read)


class TestCallsThatNameOneNewRunWithTwoParents:
    def test_make_it_the_child_that_the_first_accepted_one_says(self) -> None:
        customer = make_customer("10")

        def in_run(amount: str, run: str, parent: str | None) -> Reserve:
            return replace(reserve(customer, amount), subject=Subject("bot", run=run, parent_run=parent))

        answers = submit([in_run("1000", "child", "wrong"), in_run("1", "child", "right")])
        assert codes(answers) == {"credit_exhausted": 1, "granted": 1}
        assert runs_of(customer) == [("child", "right", "right"), ("right", None, "right")]

    def test_are_decided_as_if_they_had_come_one_after_the_other(self) -> None:
        one, other = make_customer("100"), make_customer("100")
        named = [("a", "b"), ("a", "c"), ("b", "d"), ("a", None), ("d", "a"), ("e", "b"), ("c", None)]

        def story(customer: Customer) -> list[Reserve]:
            return [
                replace(reserve(customer), subject=Subject("bot", run=run, parent_run=parent))
                for run, parent in named
            ]

        together = submit(story(one))
        apart = [submit([command])[0] for command in story(other)]
        assert codes(together) == codes(apart) == {"granted": 7}
        assert runs_of(one) == runs_of(other)
        assert_sound(one.id, other.id)


class TestAnOrganizationThatFallsOutOfTheMemory:
    def test_while_its_call_waits_for_the_lock_is_read_again_with_its_runs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gate_config, "MAX_ORGANIZATIONS", 1)
        first, second = sorted((make_customer(), make_customer()), key=lambda made: made.id)

        def in_its_run(customer: Customer) -> Reserve:
            return replace(reserve(customer), subject=Subject("bot", run="r"))

        async def story() -> None:
            wire = await Wire.connect(settings.GATE_DATABASE_URL, lock_timeout_ms=1_000)
            gate = Gate(read_aside)
            for _ in range(2):
                for customer in (first, second):
                    assert codes(await gate.apply(wire, [in_its_run(customer)])) == {"granted": 1}
                (answer,) = await gate.apply(wire, [in_its_run(second)])
                assert answer.error is None
                counting = CountingGate(read_aside)
                counting.cache = gate.cache
                assert codes(await counting.apply(wire, [in_its_run(first), in_its_run(second)])) == {
                    "granted": 2
                }
                assert counting.transactions == 1
            wire.close()

        asyncio.run(story())
        assert_sound(first.id, second.id)


class TestAMigrationBesideTheLanes:
    def test_that_changes_a_column_that_they_read_is_not_noticed(self, private_database: str) -> None:
        customer = make_customer()

        def in_a_new_run() -> Reserve:
            return replace(reserve(customer), subject=Subject("bot", run=unique()))

        assert codes(submit([in_a_new_run()])) == {"granted": 1}
        with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
            connection.execute("ALTER TABLE runs ALTER COLUMN version TYPE bigint")
        for _ in range(3):
            assert codes(submit([in_a_new_run()])) == {"granted": 1}

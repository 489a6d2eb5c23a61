"""Callers of one process: those who come while their organization's transaction runs share the next one."""

import threading
import time
from collections import Counter

import pytest

from common.errors import GateUnavailable
from common.ids import new_id
from spend.operations.gate.gathering import MAX_COMMANDS, Commands, Gatherer
from spend.operations.gate.submit import submit
from spend.rules.commands import Action, Caller, Estimate, RequestKey, Reserve, Subject
from spend.rules.effects import Answer
from tests.builders.crowd import at_once
from tests.builders.gate import Customer, make_customer, units
from tests.builders.orgs import unique
from tests.invariants import assert_sound

CALLER = Caller(actor="system:test")


def reserve(customer: Customer, amount: str = "1") -> Reserve:
    key = unique()
    return Reserve(
        customer.id, CALLER, RequestKey(key, key.encode().ljust(32, b"0")), Subject("bot"), Action("custom"),
        Estimate(amount=units(amount)), "USD",
    )  # fmt: skip


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


class Slow:
    """Applies after a signal, and remembers what came together."""

    def __init__(self) -> None:
        self.go, self.together = threading.Event(), []

    def __call__(self, commands: Commands) -> list[Answer]:
        self.together.append(len(commands))
        if not self.go.wait(10):
            raise GateUnavailable
        return [Answer(200, {"n": place}) for place, _ in enumerate(commands)]


class TestAGatherer:
    def test_has_those_who_wait_decided_at_once(self) -> None:
        customer, slow = make_customer(), Slow()
        gatherer = Gatherer(slow)

        def call(place: int) -> list[Answer]:
            time.sleep(0.05 * bool(place))
            return gatherer.submit(customer.id, [reserve(customer)] * 3, patience_seconds=5)

        threading.Timer(0.5, slow.go.set).start()
        answers = at_once(call, callers=10)
        assert slow.together == [3, 27]
        assert sorted(answer.body["n"] for three in answers[1:] for answer in three if answer.body) == list(
            range(27)
        )

    def test_takes_no_more_than_fit_into_a_transaction(self) -> None:
        customer, slow = make_customer(), Slow()
        gatherer = Gatherer(slow)

        def call(place: int) -> list[Answer]:
            time.sleep(0.05 * bool(place))
            return gatherer.submit(customer.id, [reserve(customer)] * 200, patience_seconds=5)

        threading.Timer(0.5, slow.go.set).start()
        at_once(call, callers=6)
        assert slow.together == [200, 400, 400, 200]
        assert max(slow.together) <= MAX_COMMANDS

    def test_lets_nobody_wait_longer_than_agreed(self) -> None:
        slow, organization = Slow(), new_id()
        gatherer = Gatherer(slow)
        first = threading.Thread(target=lambda: gatherer.submit(organization, [], patience_seconds=5))
        first.start()
        before = time.monotonic()
        with pytest.raises(GateUnavailable):
            gatherer.submit(organization, [], patience_seconds=0.2)
        assert 0.2 <= time.monotonic() - before < 1
        slow.go.set()
        first.join()
        assert gatherer.submit(organization, [], patience_seconds=0.2) == []

    def test_sends_everybody_away_when_the_row_cannot_be_had(self) -> None:
        organization, tries = new_id(), []

        def apply(commands: Commands) -> list[Answer]:
            tries.append(len(commands))
            time.sleep(0.3)
            raise GateUnavailable(retry_after=1)

        gatherer = Gatherer(apply)

        def call(place: int) -> float:
            time.sleep(0.05 * bool(place))
            before = time.monotonic()
            with pytest.raises(GateUnavailable):
                gatherer.submit(organization, [], patience_seconds=5)
            return time.monotonic() - before

        assert max(at_once(call, callers=8)) < 1
        assert tries == [0]

    def test_tells_each_caller_of_its_own_failure_only(self) -> None:
        organization, broken = new_id(), object()
        started = threading.Event()

        def apply(commands: Commands) -> list[Answer]:
            if not started.is_set():
                started.set()
                time.sleep(0.3)
            if broken in commands:
                raise ZeroDivisionError
            return [Answer(200) for _ in commands]

        gatherer = Gatherer(apply)

        def call(place: int) -> str:
            time.sleep(0.05 * bool(place))
            try:
                return str(
                    gatherer.submit(organization, [broken if place == 3 else None], patience_seconds=5)[
                        0
                    ].status
                )
            except ZeroDivisionError:
                return "broken"

        assert at_once(call, callers=6) == ["200", "200", "200", "broken", "200", "200"]

"""Deliveries that are stored together: each is answered for itself, and only when it is durable."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from common.errors import ProblemError, ServiceUnavailable
from tests.builders.deliveries import Objects, event, handling, stored
from webhooks.operations.inbound import intake as module
from webhooks.operations.inbound.intake import Intake
from webhooks.operations.inbound.storing import Arrived
from webhooks.rules.inbound.judging import PLATFORM
from webhooks.rules.inbound.reading import read_event


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    with handling(Objects()):
        yield


def arrived(value: dict[str, Any] | None = None) -> Arrived:
    body = json.dumps(value or event()).encode()
    return Arrived(read_event(body), body, PLATFORM, "delivery", 0)


def with_intake(use: Callable[[Intake], Awaitable[Any]]) -> Any:
    """What the use of a new intake gives; it is closed in an orderly way."""

    async def run() -> Any:
        intake = Intake(settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS)
        await intake.open()
        try:
            return await use(intake)
        finally:
            await intake.close()

    return asyncio.run(run())


async def all_of(intake: Intake, given: list[Arrived]) -> list[Any]:
    return await asyncio.gather(*(intake.store(each) for each in given), return_exceptions=True)


class TestEventsThatComeTogether:
    def test_are_each_stored_once_and_one_of_its_copies_was_new(self) -> None:
        values = [event() for _ in range(300)]
        given = [arrived(value) for value in values for _ in range(2)]
        answers = with_intake(lambda intake: all_of(intake, given))
        assert sorted(answers) == [False] * 300 + [True] * 300
        assert all(stored(value["id"]) for value in values)

    def test_are_stored_once_by_two_processes(self) -> None:
        given = [arrived() for _ in range(200)]

        async def use(first: Intake) -> list[Any]:
            second = Intake(settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS)
            await second.open()
            try:
                found = await asyncio.gather(all_of(first, given), all_of(second, given[::-1]))
            finally:
                await second.close()
            return found[0] + found[1]

        assert sorted(with_intake(use)) == [False] * 200 + [True] * 200

    def test_of_which_the_database_refuses_one_are_stored_without_it(self) -> None:
        """Nothing that was read can be refused; what could be would fail alone."""
        good, bad = [event() for _ in range(5)], arrived()
        bad = replace(bad, hint=replace(bad.hint, type="a\x00b"))
        given = [*(arrived(value) for value in good[:3]), bad, *(arrived(value) for value in good[3:])]
        answers = with_intake(lambda intake: all_of(intake, given))
        assert [answer is True for answer in answers] == [True, True, True, False, True, True]
        assert isinstance(answers[3], Exception)
        assert all(stored(value["id"]) for value in good)

    def test_are_refused_when_too_many_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_WAITING", 3)
        answers = with_intake(lambda intake: all_of(intake, [arrived() for _ in range(5)]))
        assert answers[:3] == [True] * 3
        assert all(isinstance(answer, ServiceUnavailable) for answer in answers[3:])

    def test_are_refused_when_they_are_too_long_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_BYTES_WAITING", 1_000)
        value = event(about={"padding": "x" * 600})
        answers = with_intake(lambda intake: all_of(intake, [arrived(value) for _ in range(4)]))
        assert answers[0] is True
        assert isinstance(answers[-1], ServiceUnavailable)

    def test_are_stored_before_the_process_ends(self) -> None:
        values = [event() for _ in range(20)]

        async def use(intake: Intake) -> None:
            for value in values:
                asyncio.ensure_future(intake.store(arrived(value)))  # noqa: RUF006  (nobody waits for the answer)
            await asyncio.sleep(0)

        with_intake(use)
        assert all(stored(value["id"]) for value in values)

    def test_wait_for_a_row_that_somebody_holds_and_say_so_in_the_end(self) -> None:
        value = event()
        with connections["owner"].cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE stripe_events IN ACCESS EXCLUSIVE MODE")
            answers = with_intake(lambda intake: all_of(intake, [arrived(value)] * 3))
            cursor.execute("ROLLBACK")
        assert {type(answer) for answer in answers} <= {ServiceUnavailable} and all(
            isinstance(answer, ProblemError) for answer in answers
        )
        assert stored(value["id"]) is None

    def test_of_which_one_cannot_even_be_written_down_are_stored_without_it(self) -> None:
        """What fails before the database has a say fails alone, too, and whatever came behind it is answered."""
        good, bad = [event() for _ in range(4)], arrived()
        bad = replace(bad, hint=replace(bad.hint, type="a\ud800b"))
        given = [arrived(good[0]), bad, arrived(good[1]), bad, *(arrived(value) for value in good[2:])]
        answers = with_intake(lambda intake: all_of(intake, given))
        assert [answer is True for answer in answers] == [True, False, True, False, True, True]
        assert all(isinstance(answers[place], UnicodeEncodeError) for place in (1, 3))
        assert all(stored(value["id"]) for value in good)

    def test_are_answered_when_whoever_stores_them_is_stopped(self) -> None:
        async def use(intake: Intake) -> list[Any]:
            given = [arrived() for _ in range(3)]
            answers = asyncio.create_task(all_of(intake, given))
            while intake._task is None:
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            intake._task.cancel()
            return await asyncio.wait_for(answers, 2)

        with connections["owner"].cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE stripe_events IN ACCESS EXCLUSIVE MODE")
            answers = with_intake(use)
            cursor.execute("ROLLBACK")
        assert [type(answer) for answer in answers] == [ServiceUnavailable] * 3

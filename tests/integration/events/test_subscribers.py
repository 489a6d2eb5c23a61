"""Subscribers: told once, tried again, parked, resumed; none holds up another."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction
from events import subscribers
from events.operations import advance as advancing
from events.operations.advance import ERRORS_BEFORE_PARKING, advance_subscriber, resume_subscriber
from events.operations.due import claim_due_jobs, run_everything_due, run_job
from events.operations.heartbeat import record_heartbeat
from events.queries.health import store_health
from events.reading import StoredEvent
from events.store import Cursor
from events.subscribers import Subscriber
from sandbox.places import CHECKOUT
from tests.builders.events import put_event

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]


class Handler:
    """Remembers what it is told; fails as often as it is asked to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[int] = []
        self.calls = 0
        self.error = error

    def __call__(self, cur: Cursor, events: Sequence[StoredEvent]) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.seen += [event.seq for event in events]


@pytest.fixture
def subscribe(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Handler]:
    """Registers handlers for this test alone, without a pause between tries."""
    monkeypatch.setattr(subscribers, "_subscribers", {})
    monkeypatch.setattr(advancing, "LONGEST_PAUSE", timedelta(0))

    def register(name: str, error: Exception | None = None, batch_size: int = 1_000) -> Handler:
        handler = Handler(error)
        subscribers.register(Subscriber(name, handler, batch_size))
        return handler

    return register


def told(name: str, handler: Handler, expected: int) -> list[int]:
    """What the handler has seen once it has seen that many; other databases' transactions hold the horizon."""
    deadline = time.monotonic() + 30
    while len(handler.seen) < expected and time.monotonic() < deadline:
        advance_subscriber(name=name)
    return handler.seen


def fail(name: str, handler: Handler, times: int) -> None:
    """Let a subscriber fail that often."""
    deadline = time.monotonic() + 30
    while handler.calls < times and time.monotonic() < deadline:
        try:
            advance_subscriber(name=name)
        except (ValueError, ServiceUnavailable):
            continue


def state(connection: Connection, name: str) -> tuple[Any, ...] | None:
    return connection.execute(
        "SELECT state, failures, last_error FROM event_subscribers WHERE name = %s", (name,)
    ).fetchone()


class TestASubscriber:
    def test_is_told_of_every_event_once_in_order(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        handler, writer = subscribe("steady", batch_size=2), connect()
        numbers = [put_event(writer) for _ in range(5)]

        assert told("steady", handler, 6)[1:] == numbers
        assert advance_subscriber(name="steady") == 0
        assert len(handler.seen) == 6

    def test_gets_a_batch_again_that_it_failed(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        handler = subscribe("shaky", ValueError("not today"))
        number = put_event(connect())
        fail("shaky", handler, 1)
        before = state(connect(), "shaky")
        handler.error = None

        assert before == ("running", 1, "ValueError: not today")
        assert told("shaky", handler, 2)[-1] == number
        assert state(connect(), "shaky") == ("running", 0, "ValueError: not today")

    def test_is_parked_after_eight_errors_and_others_go_on(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        broken, well = subscribe("broken", ValueError("never")), subscribe("well")
        number = put_event(connect())
        fail("broken", broken, ERRORS_BEFORE_PARKING)

        assert state(connect(), "broken") == ("parked", 8, "ValueError: never")
        assert advance_subscriber(name="broken") == 0
        assert broken.calls == 8
        assert told("well", well, 2)[-1] == number
        assert run_in_transaction(store_health).parked_subscribers == 1

    def test_goes_on_where_it_stopped_when_it_is_resumed(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        handler = subscribe("broken", ValueError("never"))
        number = put_event(connect())
        fail("broken", handler, ERRORS_BEFORE_PARKING)
        handler.error = None
        resume_subscriber(name="broken")

        assert told("broken", handler, 2) == [1, number]

    def test_is_not_parked_by_errors_that_pass(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        handler = subscribe("waiting", ServiceUnavailable())
        put_event(connect())
        fail("waiting", handler, ERRORS_BEFORE_PARKING + 1)

        assert state(connect(), "waiting") == ("running", 0, "")

    def test_waits_longer_after_every_error(
        self, subscribe: Callable[..., Handler], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler = subscribe("late", ValueError("later"))
        monkeypatch.setattr(advancing, "LONGEST_PAUSE", timedelta(minutes=5))
        fail("late", handler, 1)

        assert advance_subscriber(name="late") == 0
        assert handler.calls == 1


class TestASubscriberThatKillsItsWorker:
    def tries(self, count: int) -> int:
        """How many of so many tries died, each in a process of its own."""
        program = [sys.executable, "-m", "tests.integration.events.dying", str(count)]
        answer = subprocess.run(program, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return int(answer.stdout)

    def test_is_parked_after_eight_workers_and_others_go_on(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        number = put_event(connect())
        # A try dies, the next one finds that out; so it goes on until it is parked.
        assert self.tries(3 * ERRORS_BEFORE_PARKING) == ERRORS_BEFORE_PARKING
        parked = state(connect(), "deadly")
        assert parked is not None
        assert parked[:2] == ("parked", 8)
        assert parked[2] == "The process ended while it handled the events after number 0"
        well = subscribe("well")
        assert told("well", well, 2)[-1] == number
        assert run_in_transaction(store_health).parked_subscribers == 1

    def test_is_told_of_the_same_events_when_it_is_resumed(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        number = put_event(connect())
        self.tries(3 * ERRORS_BEFORE_PARKING)
        mended = subscribe("deadly")
        assert advance_subscriber(name="deadly") == 0
        resume_subscriber(name="deadly")
        assert told("deadly", mended, 2) == [1, number]

    def test_starts_to_count_anew_when_a_try_succeeds(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        number = put_event(connect())
        assert self.tries(5) == 3
        mended = subscribe("deadly")
        assert told("deadly", mended, 2) == [1, number]
        row = connect().execute("SELECT state, failures, attempted_at FROM event_subscribers").fetchall()
        assert row == [("running", 0, None)]


class TestATry:
    def test_that_another_worker_has_just_begun_is_not_taken_for_dead(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        handler = subscribe("slow")
        put_event(connect())
        note = "INSERT INTO event_subscribers (name, attempted_at) VALUES ('slow', clock_timestamp())"
        connect().execute(note)
        assert advance_subscriber(name="slow") == 0
        assert handler.calls == 0
        assert state(connect(), "slow") == ("running", 0, "")

    def test_that_finds_the_cursor_held_leaves_no_note_behind(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        """As if another worker looked at the cursor between the note of a try and its beginning."""
        handler = subscribe("crowded")
        connection = connect()
        put_event(connection)
        told("crowded", handler, 1)
        put_event(connection)
        begun = run_in_transaction(lambda cur: advancing._begin(cur, "crowded"))
        assert begun is True
        chosen = subscribers.subscriber("crowded")
        with connection.transaction():
            connection.execute("SELECT FROM event_cursors WHERE name = 'crowded' FOR UPDATE")
            count = run_in_transaction(lambda cur: advancing._one_batch(cur, chosen=chosen, is_noted=begun))
        assert count == 0
        noted = "SELECT attempted_at FROM event_subscribers WHERE name = 'crowded'"
        assert connection.execute(noted).fetchone() == (None,)
        assert len(told("crowded", handler, 2)) == 2
        assert state(connection, "crowded") == ("running", 0, "")

    def test_is_not_written_down_when_there_is_nothing_to_handle(
        self, subscribe: Callable[..., Handler], connect: Connect
    ) -> None:
        handler = subscribe("idle")
        told("idle", handler, 1)
        before = connect().execute("SELECT xmin::text FROM event_subscribers").fetchall()
        advance_subscriber(name="idle")
        assert connect().execute("SELECT xmin::text FROM event_subscribers").fetchall() == before


class TestDueJobs:
    def test_are_handed_to_one_caller_until_their_time_comes_again(self, connect: Connect) -> None:
        first = claim_due_jobs()

        assert "events.seal" in first
        assert "events.make_partitions" in first
        assert claim_due_jobs() == []

    def test_are_handed_out_again_when_they_were_never_done(self, connect: Connect) -> None:
        claim_due_jobs()
        connect().execute("UPDATE due_jobs SET claimed_at = claimed_at - interval '61 seconds'")

        assert "events.make_partitions" in claim_due_jobs()

    def test_are_all_run_by_one_command(self, connect: Connect) -> None:
        done = run_everything_due()

        assert done["events.make_partitions"] == 0
        assert "events.checkpoint" in done
        assert "events.checkpoint" not in run_everything_due()

    def test_that_were_done_wait_for_their_period(self, connect: Connect) -> None:
        run_job(name="events.make_partitions")
        connect().execute("UPDATE due_jobs SET claimed_at = claimed_at - interval '61 seconds'")

        assert "events.make_partitions" not in claim_due_jobs()


class TestHeartbeats:
    def test_tell_how_long_no_worker_has_taken_work(self, connect: Connect) -> None:
        record_heartbeat(name="worker-1")
        connect().execute("UPDATE worker_heartbeats SET beaten_at = beaten_at - interval '90 seconds'")

        assert 90 <= (run_in_transaction(store_health).heartbeat_seconds or 0) < 120

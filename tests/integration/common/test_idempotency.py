"""Idempotency keys on a real server: one effect, one answer."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from common.errors import (
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    NotFound,
)
from common.idempotency import (
    Answer,
    KeyedRequest,
    StoredAnswer,
    idempotent,
    key_digest,
    keyed_request,
    lookup,
    lookup_many,
    packed,
    purge_idempotency_keys,
    read_key,
    store,
    unpacked,
)
from common.strictjson import parse_object
from common.transactions import run_in_transaction

Cursor = psycopg.Cursor[Any]
BODY = b'{"amount": "1.50", "subject": {"agent": "a", "run": null}}'
SAME = b'{"subject":{"run":null,"agent":"a"},\n"amount":"1.50"}'


def request(key: str = "k-1", body: bytes = BODY, **changes: Any) -> KeyedRequest:
    """A call of an organization of this test's own, unless another is given."""
    known = {"organization": uuid.uuid4(), "method": "POST", "path": "/v1/things"}
    return keyed_request(**{**known, **changes}, key=key, body=parse_object(body))


class Effect:
    """An operation that counts how often it ran, and answers with the number."""

    def __init__(self, *, status: int = 201, pause: float = 0) -> None:
        self.runs = 0
        self._status = status
        self._pause = pause

    def __call__(self, cur: Cursor) -> Answer:
        self.runs += 1
        time.sleep(self._pause)
        return Answer(self._status, b'{"run":%d,"at":"2026-03-01T12:00:00Z"}' % self.runs)


class TestTheKey:
    def test_it_is_required_where_money_moves_b75(self) -> None:
        with pytest.raises(IdempotencyKeyRequired):
            read_key(None, required=True)
        assert read_key(None, required=False) is None

    @pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb", "a\nb", "\x7f", "１"])
    def test_it_is_printable_ascii_b76(self, key: str) -> None:
        for required in (True, False):
            with pytest.raises(IdempotencyKeyInvalid):
                read_key(key, required=required)

    @pytest.mark.parametrize("key", ["x", "x" * 255, "'; DROP TABLE events; --", " ", "a b~"])
    def test_anything_printable_is_an_opaque_key_b73(self, key: str) -> None:
        assert read_key(key, required=True) == key
        call = request(key)
        assert idempotent(Effect(), request=call).status == 201
        assert idempotent(Effect(), request=call).replayed


class TestAReplay:
    def test_it_has_the_same_status_and_bytes(self) -> None:
        call, effect = request(), Effect(status=202)
        first, second = idempotent(effect, request=call), idempotent(effect, request=call)
        assert (first.status, first.body, first.replayed) == (202, second.body, False)
        assert (second.status, second.replayed, effect.runs) == (202, True, 1)

    def test_key_order_and_whitespace_do_not_count_b83(self) -> None:
        effect, organization = Effect(), uuid.uuid4()
        idempotent(effect, request=request(organization=organization))
        assert idempotent(effect, request=request(body=SAME, organization=organization)).replayed
        assert effect.runs == 1

    @pytest.mark.parametrize(
        "change", [{"body": b'{"amount": "1.51"}'}, {"method": "PATCH"}, {"path": "/v1/others"}]
    )
    def test_another_body_method_or_path_is_refused_b77(self, change: dict[str, Any]) -> None:
        effect, organization = Effect(), uuid.uuid4()
        idempotent(effect, request=request(organization=organization))
        with pytest.raises(IdempotencyKeyReused):
            idempotent(effect, request=request(**change, organization=organization))
        assert effect.runs == 1

    def test_another_organizations_key_is_another_key_b79(self) -> None:
        effect = Effect()
        assert not idempotent(effect, request=request()).replayed
        assert not idempotent(effect, request=request()).replayed
        assert effect.runs == 2

    def test_without_a_key_every_call_runs(self) -> None:
        effect = Effect()
        idempotent(effect, request=None)
        idempotent(effect, request=None)
        assert effect.runs == 2


class TestWhatIsNotAccepted:
    def test_a_refused_call_stores_nothing_and_may_change_b82(self) -> None:
        def refuse(cur: Cursor) -> Answer:
            raise NotFound

        organization = uuid.uuid4()
        with pytest.raises(NotFound):
            idempotent(refuse, request=request(organization=organization))
        other = request(body=b'{"amount": "2"}', organization=organization)
        assert not idempotent(Effect(), request=other).replayed

    def test_a_defect_stores_nothing(self) -> None:
        def fail(cur: Cursor) -> Answer:
            raise ZeroDivisionError

        call = request()
        with pytest.raises(ZeroDivisionError):
            idempotent(fail, request=call)
        assert not idempotent(Effect(), request=call).replayed

    def test_an_answer_that_is_a_refusal_is_not_stored_though_it_commits(self) -> None:
        call, effect = request(), Effect(status=402)
        idempotent(effect, request=call)
        assert not idempotent(effect, request=call).replayed
        assert effect.runs == 2


class TestInFlight:
    def test_the_second_waits_and_gives_the_firsts_answer_b80(self) -> None:
        call, effect = request(), Effect(pause=0.3)
        answers = _together([lambda: idempotent(effect, request=call)] * 2)
        assert effect.runs == 1
        assert len({answer.body for answer in answers}) == 1
        assert sorted(answer.replayed for answer in answers) == [False, True]

    def test_after_two_seconds_it_is_told_so_b80(self) -> None:
        call, effect = request(), Effect(pause=2.6)
        first = threading.Thread(target=_closing(lambda: idempotent(effect, request=call)))
        first.start()
        time.sleep(0.2)
        started = time.monotonic()
        with pytest.raises(IdempotencyInFlight) as refused:
            idempotent(effect, request=call)
        waited = time.monotonic() - started
        first.join()
        assert 1.9 < waited < 2.5
        assert (refused.value.retry_after, effect.runs) == (1, 1)
        assert idempotent(effect, request=call).replayed

    def test_the_wait_for_other_locks_is_as_before(self) -> None:
        def timeouts(cur: Cursor) -> Answer:
            row = cur.execute("SELECT current_setting('lock_timeout')").fetchone()
            return Answer(200, str(row).encode())

        assert idempotent(timeouts, request=request()).body == idempotent(timeouts, request=None).body

    def test_a_store_that_raced_runs_again_and_replays(self) -> None:
        """A writer that does not take the advisory lock, such as a lane, was faster between look and store."""
        call, runs = request(), []

        def operation(cur: Cursor) -> Answer:
            runs.append(1)
            with psycopg.connect(**_parameters()) as lane:
                store(lane.cursor(), [StoredAnswer(call, Answer(200, b"lane"))])
            return Answer(200, b"mine")

        assert idempotent(operation, request=call) == Answer(200, b"lane", replayed=True)
        assert len(runs) == 1


class TestTheTable:
    def test_many_are_stored_and_found_at_once(self) -> None:
        organization, calls = uuid.uuid4(), [request(f"k-{number}") for number in range(40)]
        calls += [request(f"k-{number}", organization=organization) for number in range(40)]
        rows = [StoredAnswer(call, Answer(200, call.key.encode() * 50)) for call in calls]

        def stored(cur: Cursor) -> tuple[Any, Any, Any]:
            store(cur, rows)
            store(cur, [])
            return (
                lookup(cur, organization=organization, keys=[f"k-{number}" for number in range(50)]),
                lookup_many(cur, pairs=[(call.organization, call.key) for call in calls]),
                lookup_many(cur, pairs=[(uuid.uuid4(), "k-1")]),
            )

        one, many, none = run_in_transaction(stored)
        assert many == {(row.request.organization, row.request.key): row for row in rows}
        assert one == {place: row for place, row in many.items() if place[0] == organization}
        assert none == {}

    def test_a_body_is_kept_compressed(self) -> None:
        call, body = request(), b'{"budgets":[' + b'{"limit":"5"},' * 100 + b"{}]}"
        run_in_transaction(lambda cur: store(cur, [StoredAnswer(call, Answer(201, body))]))
        with connection.cursor() as cur:
            cur.execute("SELECT body FROM api_idempotency_keys WHERE organization = %s", [call.organization])
            kept = bytes(cur.fetchone()[0])
        assert len(kept) < len(body) / 5
        assert unpacked(bytes(kept)) == body

    def test_a_key_is_kept_thirty_days_and_then_purged_b84(self) -> None:
        ages = {"k-day": 1, "k-month": 29, "k-old": 31, "k-older": 400}
        organization = uuid.uuid4()

        def aged(cur: Cursor) -> None:
            for key, days in ages.items():
                call = request(key, organization=organization)
                cur.execute(
                    "INSERT INTO api_idempotency_keys (organization, key_digest, request, status, body, created_at)"
                    " VALUES (%s, %s, %s, 201, %s, clock_timestamp() - make_interval(days => %s))",
                    (organization, key_digest(key), call.digest, packed(b"{}"), days),
                )

        run_in_transaction(aged)
        assert idempotent(Effect(), request=request("k-month", organization=organization)).replayed
        purged = 0
        while batch := run_in_transaction(lambda cur: purge_idempotency_keys(cur, limit=1)):
            assert batch == 1
            purged += batch
        assert purged >= 2
        kept = run_in_transaction(lambda cur: lookup(cur, organization=organization, keys=list(ages)))
        assert sorted(key for _, key in kept) == ["k-day", "k-month"]


def _parameters() -> dict[str, Any]:
    known = connections["default"].settings_dict
    return {
        "host": known["HOST"],
        "port": known["PORT"] or None,
        "user": known["USER"],
        "password": known["PASSWORD"],
        "dbname": known["NAME"],
    }


def _closing(call: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        try:
            call()
        finally:
            connections.close_all()

    return run


def _together(calls: list[Callable[[], Answer]]) -> list[Answer]:
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=_closing(lambda call=call: answers.append(call())))  # type: ignore[misc]
        for call in calls
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return answers

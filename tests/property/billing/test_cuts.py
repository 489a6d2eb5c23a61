"""A rising chain of cuts over random histories: its differences partition all records, in SQL as in plain Python."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from billing.queries.cuts import difference
from billing.rules.cuts import Cut, Snapshot
from common.ids import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = """
WITH r AS (SELECT n, o AS organization, i AS id, e AS epoch, t::text::xid8 AS tx, a AS occurred_at, w AS recorded_at
    FROM unnest(%(n)s::int[], %(o)s::uuid[], %(i)s::uuid[], %(e)s::int[], %(t)s::bigint[], %(a)s::timestamptz[],
                %(w)s::timestamptz[]) AS u(n, o, i, e, t, a, w))
SELECT n FROM r WHERE {condition} ORDER BY n
"""


@dataclass(frozen=True)
class Record:
    epoch: int
    tx: int
    occurred_at: datetime


@dataclass(frozen=True)
class History:
    records: list[Record]
    cuts: list[Cut]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Transactions that get numbers, write and end in any order; cuts between them; now and then a restore."""
    epoch, number, running, seen_until, records, cuts = 1, 100, [], 0, [], []
    for _ in range(draw(st.integers(1, 60))):
        step = draw(st.sampled_from("bbwwwecccr"))
        if step == "b":
            running.append(number)
            number += 1
        elif step == "w" and running:
            tx = draw(st.sampled_from(running))
            running.remove(tx)  # a writer of the organization holds its lock until it ends: nothing between
            moment = START + timedelta(hours=draw(st.integers(0, 100)))
            records.append(Record(epoch, tx, moment))
        elif step == "e" and running:
            running.remove(draw(st.sampled_from(running)))
        elif step == "c":
            seen_until = min(seen_until + draw(st.integers(0, 30)), 100)
            snapshot = Snapshot(min(running, default=number), number, tuple(sorted(running)))
            cuts.append(Cut(epoch, str(snapshot), START + timedelta(hours=seen_until), START))
        elif step == "r":
            epoch, number, running = epoch + 1, draw(st.integers(3, 200)), []
    last = Cut(epoch + 1, "3:3:", START + timedelta(hours=101), START + timedelta(days=30))
    return History(records, [*cuts, last])


@pytest.fixture(scope="module")
def connection() -> Any:
    with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as opened:
        yield opened


class TestTheDifferencesOfARisingChain:
    @hypothesis(max_examples=80, deadline=None)
    @given(history=histories())
    def test_partition_all_records(self, connection: psycopg.Connection[Any], history: History) -> None:
        taken: list[int] = []
        previous = None
        for cut in history.cuts:
            expected = [
                n
                for n, record in enumerate(history.records)
                if cut.holds(**vars(record)) and not (previous is not None and previous.holds(**vars(record)))
            ]
            assert self.found(connection, history, cut, previous) == expected
            taken += expected
            previous = cut
        assert sorted(taken) == list(range(len(history.records)))

    def found(
        self, connection: psycopg.Connection[Any], history: History, cut: Cut, previous: Cut | None
    ) -> list[int]:
        organization, records = new_id(), history.records
        wanted = difference(connection.cursor(), organization, alias="r", cut=cut, previous=previous)
        middle = wanted.values["cut_first"] + (wanted.values["cut_last"] - wanted.values["cut_first"]) / 2
        rows = {
            "n": list(range(len(records))),
            "o": [organization] * len(records),
            "i": [wanted.values["cut_first_id"]] * len(records),
            "e": [record.epoch for record in records],
            "t": [record.tx for record in records],
            "a": [record.occurred_at for record in records],
            "w": [middle] * len(records),
        }
        statement = ROWS.format(condition=wanted.sql).encode()
        return [n for (n,) in connection.execute(statement, {**rows, **wanted.values}).fetchall()]

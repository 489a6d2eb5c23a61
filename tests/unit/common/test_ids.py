"""Ids: version 7, canonical, and naming their month."""

import datetime as dt
import time
import uuid

import pytest

from common.errors import InvalidId
from common.ids import new_id, parse_id, uuid7_month, uuid7_time


def test_a_new_id_is_of_version_7_and_of_this_moment() -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
    made = new_id()
    assert type(made) is uuid.UUID
    assert made.version == 7
    assert before <= uuid7_time(made) <= dt.datetime.now(dt.UTC)


def test_ids_of_one_process_grow() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == 10_000


@pytest.mark.parametrize(
    ("milliseconds", "month"),
    [
        (0, dt.date(1970, 1, 1)),
        (1_772_323_199_999, dt.date(2026, 2, 1)),
        (1_772_323_200_000, dt.date(2026, 3, 1)),
    ],
)
def test_an_id_names_the_month_it_was_made_in(milliseconds: int, month: dt.date) -> None:
    made = uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)
    assert uuid7_month(made) == month


def test_an_id_of_another_version_names_no_month() -> None:
    with pytest.raises(ValueError, match="not of version 7"):
        uuid7_month(uuid.uuid4())


def test_a_canonical_id_is_read() -> None:
    made = new_id()
    assert parse_id(str(made)) == made


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("B65", "１"), ("B67", "-1"), ("B68", "1" * 30), ("B69", "\x00"), ("B74", "../x"), ("B74", ";"),
        ("upper case", "0198C5A2-0000-7000-8000-000000000000"),
        ("no hyphens", "0198c5a2000070008000000000000000"),
        ("braces", "{0198c5a2-0000-7000-8000-000000000000}"),
        ("urn", "urn:uuid:0198c5a2-0000-7000-8000-000000000000"),
        ("line feed", "0198c5a2-0000-7000-8000-00000000000\n"),
        ("full-width", "０198c5a2-0000-7000-8000-000000000000"),
        ("number", 5), ("null", None), ("UUID", uuid.uuid4()), ("empty", ""),
    ],
)  # fmt: skip
def test_everything_else_is_no_id(row: str, value: object) -> None:
    with pytest.raises(InvalidId):
        parse_id(value)


def test_the_time_of_a_new_id_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    started = time.perf_counter()
    for _ in range(10_000):
        new_id()
    with capsys.disabled():
        print(f"\nnew_id: {(time.perf_counter() - started) * 100:.2f} us")

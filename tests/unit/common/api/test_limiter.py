"""Calls per second and key: never more than the rate lets through, never less, and bounded in memory."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api import limiter as module
from common.api.limiter import Limiter, RateLimited


class Clock:
    """The monotonic clock, by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        patch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def passed(limiter: Limiter, key: str = "a", count: int = 1) -> bool:
    try:
        limiter.take(key, count)
    except RateLimited:
        return False
    return True


def test_a_second_of_silence_lets_a_second_of_calls_through_at_once(clock: Clock) -> None:
    limiter = Limiter(5)
    assert [passed(limiter) for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.2
    assert [passed(limiter) for _ in range(2)] == [True, False]
    clock.now += 100
    assert [passed(limiter) for _ in range(6)] == [True] * 5 + [False]


def test_a_batch_counts_its_items_and_has_its_turn_whatever_its_size(clock: Clock) -> None:
    limiter = Limiter(5)
    assert passed(limiter, count=20)
    clock.now += 3
    assert not passed(limiter)
    clock.now += 0.21
    assert passed(limiter)


def test_one_key_takes_nothing_of_another(clock: Clock) -> None:
    limiter = Limiter(1)
    assert [passed(limiter, key) for key in "aabb"] == [True, False, True, False]


def test_a_refusal_says_how_long_to_wait_and_what_binds(clock: Clock) -> None:
    limiter = Limiter(10)
    limiter.take("key-1", 35)
    with pytest.raises(RateLimited) as caught:
        limiter.take("key-1", 2)
    assert (caught.value.status, caught.value.retryable, caught.value.retry_after) == (429, True, 3)
    assert caught.value.extra["binding"] == {
        "scope": "key", "target": "key-1", "rule": "calls_per_second", "window": "second", "unit": "CALLS",
        "limit": "10", "spent": "10", "held": "0", "requested": "2", "remaining": "0",
    }  # fmt: skip


def test_buckets_are_bounded_and_the_oldest_is_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 3)
    limiter = Limiter(1)
    for key in "abcd":
        assert passed(limiter, key)
    assert len(limiter._buckets) == 3
    assert not passed(limiter, "d")
    assert passed(limiter, "a")


@given(rate=st.integers(1, 50), gaps=st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_over_any_time_the_rate_and_one_second_more_is_let_through(rate: int, gaps: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock, limiter, taken = Clock(patch), Limiter(rate), 0
        begun = clock.now
        for gap in gaps:
            clock.now += gap
            taken += passed(limiter)
            assert taken <= rate * (1 + clock.now - begun) + 1e-6

"""When a delivery is tried again, and what an answer means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LADDER: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Pauses after the first, second, ... failed attempt; published. Together 75 h 35 min and 5 s."""
MOST_ATTEMPTS: Final = len(LADDER) + 1
JITTER: Final = (1, 10)
"""A pause is longer by up to this share of itself, so that what failed together does not come again together."""
LONGEST_WISH: Final = timedelta(hours=24)
"""A receiver may ask for no longer pause than this."""
FAILING_FOR: Final = timedelta(days=5)
"""An endpoint to which nothing got through for so long is disabled."""

DELIVERED, RETRY, GIVEN_UP, GONE = "delivered", "retry", "given_up", "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt: the HTTP status (None: none came, and why) and the pause that was asked for."""

    status: int | None
    error: str | None = None
    retry_after: timedelta | None = None
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an answer; `next_at` where it is tried again."""

    outcome: str
    next_at: datetime | None = None


def judge(answer: Answer, *, attempts: int, now: datetime, jitter: int) -> Verdict:
    """Return what follows from the answer to attempt number `attempts` (from 1).

    `jitter`: a random number from 0 to 999. 2xx delivers; 410 says that nobody is there any more; everything else, also
    a redirect and other 4xx, is tried again until the ladder ends.
    """
    if answer.is_success:
        return Verdict(DELIVERED)
    if answer.status == 410:
        return Verdict(GONE)
    if attempts >= MOST_ATTEMPTS:
        return Verdict(GIVEN_UP)
    pause = LADDER[attempts - 1]
    part, whole = JITTER
    wait = pause + pause * part * jitter // (1_000 * whole)
    if answer.retry_after is not None:
        wait = max(wait, min(answer.retry_after, LONGEST_WISH))
    return Verdict(RETRY, now + wait)


def is_dead(*, failing_since: datetime | None, now: datetime) -> bool:
    """Return whether an endpoint failed for so long that it is disabled."""
    return failing_since is not None and now - failing_since >= FAILING_FOR

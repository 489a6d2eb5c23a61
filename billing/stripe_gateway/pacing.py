"""How fast we may call: a token bucket in the database, so that all processes together stay under the limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings

from billing.stripe_gateway.client import before_each_request, require_no_transaction
from common.transactions import run_in_transaction
from events.store import Cursor

LONGEST_WAIT_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 1.0
_TAKE: Final = """
INSERT INTO processor_buckets AS b (name, tokens, refilled_at) VALUES (%(name)s, %(burst)s - 1, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET refilled_at = clock_timestamp(),
    tokens = least(%(burst)s, b.tokens + %(rate)s * extract(epoch FROM clock_timestamp() - b.refilled_at)) - 1
RETURNING tokens
"""
_EMPTY: Final = """
INSERT INTO processor_buckets AS b (name, tokens, refilled_at) VALUES (%(name)s, %(tokens)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET tokens = least(b.tokens, %(tokens)s), refilled_at = clock_timestamp()
"""


def take(name: str = "account") -> bool:
    """This function will take the right to one call, waiting up to five seconds for it; False: the calls that are
    ahead would take longer.

    The bucket refills with STRIPE_CALLS_PER_SECOND and holds one second's worth. Who is early leaves a debt and waits
    for it to be paid, so callers come in turn.
    """
    require_no_transaction()
    rate = settings.STRIPE_CALLS_PER_SECOND
    wait = run_in_transaction(lambda cur: _wait(cur, name, rate))
    if wait > LONGEST_WAIT_SECONDS:
        run_in_transaction(lambda cur: cur.execute(_GIVE_BACK, (name,)))
        return False
    if wait > 0:
        time.sleep(wait)
    return True


@contextmanager
def paced() -> Iterator[None]:
    """This function will have every request in this context wait for the right to it, as long as that takes:
    nobody waits for who reads lists."""
    with before_each_request(_wait_for_turn):
        yield


@contextmanager
def not_paced() -> Iterator[None]:
    """This function will leave the requests in this context to who takes the right to them."""
    with before_each_request(None):
        yield


def _wait_for_turn() -> None:
    while not take():
        time.sleep(_PAUSE_SECONDS)


def slow_down(seconds: float, name: str = "account") -> None:
    """This function will keep everybody from calling for a while: the processor said that there were too many."""
    given = {"name": name, "tokens": -min(seconds, 60) * settings.STRIPE_CALLS_PER_SECOND}
    run_in_transaction(lambda cur: cur.execute(_EMPTY, given))


_GIVE_BACK: Final = "UPDATE processor_buckets SET tokens = tokens + 1 WHERE name = %s"


def _wait(cur: Cursor, name: str, rate: int) -> float:
    row = cur.execute(_TAKE, {"name": name, "burst": rate, "rate": rate}).fetchone()
    assert row is not None
    return max(0.0, -float(row[0]) / rate)

"""Hand events to their subscribers. One that fails is tried again later, then parked; it stops nobody else.

A try is written down before it is made, and crossed out when it ends, well or badly. One that was never crossed out
took its process down with it: it counts as a failure, too, so that events on which a worker dies do not kill every
worker for ever.
"""

import logging
import time
from datetime import timedelta
from functools import partial
from typing import Final

from common.errors import NotFound, ProblemError
from common.transactions import run_in_transaction
from events.reader import advance, lock_position, read_batch
from events.store import Cursor
from events.subscribers import Subscriber, subscriber

logger = logging.getLogger(__name__)

ERRORS_BEFORE_PARKING: Final = 8
LONGEST_PAUSE: Final = timedelta(minutes=5)
_WORKING_SECONDS: Final = 4.0

# Between the note of a try and its beginning nobody holds the cursor, and it must not be taken for a dead one.
_BEGINS_WITHIN: Final = timedelta(seconds=2)
_ENDED_SILENTLY: Final = "The process ended while it handled the events after number %d"

_STANDING: Final = """
SELECT state = 'running' AND (failures = 0
        OR failed_at + least(%s, make_interval(secs => 2 ^ failures)) <= clock_timestamp()),
    attempted_at IS NOT NULL, attempted_at <= clock_timestamp() - %s
FROM event_subscribers WHERE name = %s
"""
_IS_NEW: Final = "SELECT EXISTS (SELECT FROM events WHERE seq > %s)"
_ATTEMPTED: Final = """
INSERT INTO event_subscribers (name, attempted_at) VALUES (%s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET attempted_at = EXCLUDED.attempted_at
"""
_ENDED: Final = (
    "UPDATE event_subscribers SET attempted_at = NULL WHERE name = %s AND attempted_at IS NOT NULL"
)
_FAILED: Final = f"""
INSERT INTO event_subscribers AS s (name, failures, last_error, failed_at) VALUES (%s, 1, %s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET failures = s.failures + 1, last_error = EXCLUDED.last_error,
    failed_at = EXCLUDED.failed_at, attempted_at = NULL,
    state = CASE WHEN s.failures + 1 >= {ERRORS_BEFORE_PARKING} THEN 'parked' ELSE s.state END,
    parked_at = CASE WHEN s.failures + 1 >= {ERRORS_BEFORE_PARKING} THEN clock_timestamp() END
RETURNING state
"""
_WORKED: Final = """
UPDATE event_subscribers SET failures = 0, attempted_at = NULL
WHERE name = %s AND (failures > 0 OR attempted_at IS NOT NULL)
"""
_RESUME: Final = """
UPDATE event_subscribers SET state = 'running', failures = 0, attempted_at = NULL, parked_at = NULL WHERE name = %s
"""


def advance_subscriber(*, name: str) -> int:
    """This function will hand a subscriber what is final and new, batch by batch for about four seconds, and return
    how many events that were. Repeating it is harmless: the cursor moves in the transaction of the effects.

    Whatever the handler raises is counted and raised again, and so is a try that ended with its process; after 8 of
    them in a row the subscriber is parked until `resume_subscriber`. An error that says of itself that it is retryable
    is not counted. A parked one, and one that waits for its next try, return 0. Raises KeyError for an unknown name.
    """
    chosen = subscriber(name)
    handled, deadline = 0, time.monotonic() + _WORKING_SECONDS
    while time.monotonic() < deadline:
        begun = run_in_transaction(lambda cur: _begin(cur, name))
        if begun is None:
            break
        try:
            count = run_in_transaction(partial(_one_batch, chosen=chosen, is_noted=begun))
        except Exception as error:
            _note_failure(name, error)
            raise
        handled += count
        if count == 0:
            break
    return handled


def resume_subscriber(*, name: str) -> None:
    """This function will let a parked subscriber go on where it stopped. Raises NotFound when it never failed."""

    def resume(cur: Cursor) -> None:
        if not cur.execute(_RESUME, (name,)).rowcount:
            raise NotFound(f"No subscriber called {name} has failed.")

    run_in_transaction(resume)


def _begin(cur: Cursor, name: str) -> bool | None:
    """Write down that a try begins, if there is anything to try, and say whether it was; None: it may not."""
    position = lock_position(cur, name)
    if position is None:
        return None  # another worker is at it
    row = cur.execute(_STANDING, (LONGEST_PAUSE, _BEGINS_WITHIN, name)).fetchone()
    may_run, is_open, is_dead = row or (True, False, False)
    if not may_run or (is_open and not is_dead):
        return None
    if is_dead:
        _count(cur, name, _ENDED_SILENTLY % position.seq)
        return None
    is_noted = cur.execute(_IS_NEW, (position.seq,)).fetchone() == (True,)
    if is_noted:
        cur.execute(_ATTEMPTED, (name,))
    return is_noted


def _one_batch(cur: Cursor, *, chosen: Subscriber, is_noted: bool) -> int:
    batch = read_batch(cur, chosen.name, chosen.batch_size)
    if batch.events:
        chosen.handle(cur, batch.events)
        cur.execute(_WORKED, (chosen.name,))
    elif batch.position is not None or is_noted:
        # Also when another worker held the cursor just then: the note would be taken for a try that died.
        cur.execute(_ENDED, (chosen.name,))
    if batch.position is not None:
        advance(cur, chosen.name, batch.position)
    return len(batch.events)


def _note_failure(name: str, error: Exception) -> None:
    if isinstance(error, ProblemError) and error.retryable:
        run_in_transaction(lambda cur: cur.execute(_ENDED, (name,)))
        return
    text = f"{type(error).__name__}: {error}"[:2_000]
    run_in_transaction(lambda cur: _count(cur, name, text))


def _count(cur: Cursor, name: str, reason: str) -> None:
    if cur.execute(_FAILED, (name, reason)).fetchone() == ("parked",):
        logger.error("subscriber.parked", extra={"subscriber": name, "reason": reason})

"""Hand events to their subscribers. One that fails is tried again later, then parked; it stops nobody else."""

import logging
import time
from datetime import timedelta
from typing import Final

from common.errors import NotFound, ProblemError
from common.transactions import run_in_transaction
from events.reader import advance, read_batch
from events.store import Cursor
from events.subscribers import Subscriber, subscriber

logger = logging.getLogger(__name__)

ERRORS_BEFORE_PARKING: Final = 8
LONGEST_PAUSE: Final = timedelta(minutes=5)
_WORKING_SECONDS: Final = 4.0

_MAY_RUN: Final = """
SELECT state = 'running' AND (failures = 0
    OR failed_at + least(%s, make_interval(secs => 2 ^ failures)) <= clock_timestamp())
FROM event_subscribers WHERE name = %s
"""
_FAILED: Final = f"""
INSERT INTO event_subscribers AS s (name, failures, last_error, failed_at) VALUES (%s, 1, %s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET failures = s.failures + 1, last_error = EXCLUDED.last_error,
    failed_at = EXCLUDED.failed_at,
    state = CASE WHEN s.failures + 1 >= {ERRORS_BEFORE_PARKING} THEN 'parked' ELSE s.state END,
    parked_at = CASE WHEN s.failures + 1 >= {ERRORS_BEFORE_PARKING} THEN clock_timestamp() END
RETURNING state
"""
_WORKED: Final = "UPDATE event_subscribers SET failures = 0 WHERE name = %s AND failures > 0"
_RESUME: Final = """
UPDATE event_subscribers SET state = 'running', failures = 0, parked_at = NULL WHERE name = %s
"""


def advance_subscriber(*, name: str) -> int:
    """This function will hand a subscriber what is final and new, batch by batch for about four seconds, and return
    how many events that were. Repeating it is harmless: the cursor moves in the transaction of the effects.

    Whatever the handler raises is counted and raised again; after 8 errors in a row the subscriber is parked until
    `resume_subscriber`. An error that says of itself that it is retryable is not counted. A parked one, and one
    that waits for its next try, return 0. Raises KeyError for an unknown name.
    """
    chosen = subscriber(name)
    if not run_in_transaction(lambda cur: _may_run(cur, name)):
        return 0
    handled, deadline = 0, time.monotonic() + _WORKING_SECONDS
    while time.monotonic() < deadline:
        try:
            count = run_in_transaction(lambda cur: _one_batch(cur, chosen))
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


def _may_run(cur: Cursor, name: str) -> bool:
    row = cur.execute(_MAY_RUN, (LONGEST_PAUSE, name)).fetchone()
    return row is None or bool(row[0])


def _one_batch(cur: Cursor, chosen: Subscriber) -> int:
    batch = read_batch(cur, chosen.name, chosen.batch_size)
    if batch.events:
        chosen.handle(cur, batch.events)
        cur.execute(_WORKED, (chosen.name,))
    if batch.position is not None:
        advance(cur, chosen.name, batch.position)
    return len(batch.events)


def _note_failure(name: str, error: Exception) -> None:
    if isinstance(error, ProblemError) and error.retryable:
        return
    text = f"{type(error).__name__}: {error}"[:2_000]

    def note(cur: Cursor) -> str:
        row = cur.execute(_FAILED, (name, text)).fetchone()
        return str(row[0]) if row else ""

    if run_in_transaction(note) == "parked":
        logger.error("subscriber.parked", extra={"subscriber": name, "reason": text})

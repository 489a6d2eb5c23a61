"""Hand out and run the jobs that are due."""

from datetime import timedelta
from typing import Final

from common.transactions import run_in_transaction
from events.jobs import job, jobs
from events.operations.advance import advance_subscriber
from events.store import Cursor
from events.subscribers import subscribers

# A job that was handed out and never done (its message was lost, its worker died) is handed out again after this.
_LOST_AFTER: Final = timedelta(seconds=60)

_RARE_SECONDS: Final = 3_600
_DONE: Final = """
SELECT d.name FROM due_jobs d JOIN unnest(%s::text[], %s::float8[]) AS j(name, every) ON j.name = d.name
WHERE d.finished_at + make_interval(secs => j.every) > clock_timestamp()
"""

_CLAIM: Final = """
INSERT INTO due_jobs AS d (name, claimed_at) VALUES (%(name)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET claimed_at = clock_timestamp()
WHERE d.claimed_at + least(%(every)s, %(lost)s) <= clock_timestamp()
    AND (d.finished_at IS NULL OR d.finished_at + %(every)s <= clock_timestamp())
RETURNING name
"""
_FINISHED: Final = """
INSERT INTO due_jobs AS d (name, claimed_at, finished_at) VALUES (%s, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET finished_at = clock_timestamp(), failures = 0
"""
_FAILED: Final = """
INSERT INTO due_jobs AS d (name, claimed_at, failures, last_error) VALUES (%s, clock_timestamp(), 1, %s)
ON CONFLICT (name) DO UPDATE SET failures = d.failures + 1, last_error = EXCLUDED.last_error
"""


def claim_due_jobs() -> list[str]:
    """This function will return the names of the jobs whose time has come, each to one caller only."""

    def claim(cur: Cursor) -> list[str]:
        found = []
        for each in sorted(jobs(), key=lambda known: known.name):
            given = {"name": each.name, "every": timedelta(seconds=each.every_seconds), "lost": _LOST_AFTER}
            if cur.execute(_CLAIM, given).fetchone():
                found.append(each.name)
        return found

    return run_in_transaction(claim)


def run_job(*, name: str) -> int:
    """This function will run a job, note how it ended, and return how much it did.

    What the job raises is noted and raised again; it is run again when it is due. Raises KeyError for an unknown
    name.
    """
    chosen = job(name)
    try:
        done = chosen.run()
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:2_000]
        run_in_transaction(lambda cur: cur.execute(_FAILED, (name, text)))
        raise
    run_in_transaction(lambda cur: cur.execute(_FINISHED, (name,)))
    return done


def run_everything_due() -> dict[str, int]:
    """This function will run every job once and hand every subscriber all that is new; what each did, by name.

    Hourly and rarer jobs run only when their period has passed since they were done. Stops at the first error.
    """
    rested = set(run_in_transaction(_resting))
    done = {each.name: run_job(name=each.name) for each in jobs() if each.name not in rested}
    for chosen in subscribers():
        done[chosen.name] = _drain(chosen.name)
    return done


def _resting(cur: Cursor) -> list[str]:
    rare = [each for each in jobs() if each.every_seconds >= _RARE_SECONDS]
    names = [each.name for each in rare]
    return [row[0] for row in cur.execute(_DONE, (names, [each.every_seconds for each in rare])).fetchall()]


def _drain(name: str) -> int:
    total = 0
    while handled := advance_subscriber(name=name):
        total += handled
    return total

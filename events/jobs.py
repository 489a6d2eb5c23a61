"""Work that falls due with time. Apps register their jobs in `ready()`; the beat hands them out, and
`manage.py run_due` runs all of them at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DueJob:
    """`run()` does everything of its kind that is due now and returns how much that was.

    It asks the database what is due, so running it twice, twice at once or late does no harm. It works in
    transactions of under 5 s. `every_seconds` is how soon it is run again.
    """

    name: str
    run: Callable[[], int]
    every_seconds: float


_jobs: dict[str, DueJob] = {}


def register(job: DueJob) -> None:
    """Add a job; the order of registration is the order of `run_due`."""
    _jobs[job.name] = job


def jobs() -> Iterable[DueJob]:
    """Return all jobs."""
    return _jobs.values()


def job(name: str) -> DueJob:
    """Return one job. Raises KeyError."""
    return _jobs[name]

"""Runs of reconciliation, their differences, and how old the last whole one is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from webhooks.rules.reconciling.differences import OVERDUE

_RUN: Final = """
SELECT id, period, cause, status, since, until, steps::text, done::text, differences::text, balances::text, is_clean,
    error, attempts, author, started_at, finished_at FROM reconciliations
"""
_JSON: Final = (6, 7, 8, 9)
_DIFFERENCE: Final = """
SELECT d.id, d.run, d.last_run, d.kind, d.class, d.subject, d.organization, d.amount, d.currency, d.detail::text,
    d.outcome, d.finding, d.first_seen_at, d.last_seen_at, d.ended_at, f.assigned_to,
    extract(epoch FROM coalesce(d.ended_at, clock_timestamp()) - d.first_seen_at)::float8
FROM reconciliation_differences d LEFT JOIN findings f ON f.id = d.finding
"""
# What a person has settled without it being gone is accepted: it waits for nobody.
_WAITS: Final = "d.outcome = 'open' AND f.status IS DISTINCT FROM 'resolved'"
_IS_OVERDUE: Final = f"({_WAITS} AND d.first_seen_at <= clock_timestamp() - %(overdue)s)"
_LIST: Final = f"""
{_DIFFERENCE} WHERE (%(run)s::uuid IS NULL OR %(run)s IN (d.run, d.last_run))
    AND (%(class)s::text IS NULL OR d.class = %(class)s) AND (%(outcome)s::text IS NULL OR d.outcome = %(outcome)s)
    AND (%(assigned_to)s::text IS NULL OR f.assigned_to = %(assigned_to)s)
    AND (%(is_assigned)s::boolean IS NULL OR (f.assigned_to IS NOT NULL) = %(is_assigned)s)
    AND (%(is_overdue)s::boolean IS NULL OR {_IS_OVERDUE} = %(is_overdue)s)
    AND (%(before)s::uuid IS NULL OR d.id < %(before)s)
ORDER BY d.id DESC LIMIT %(limit)s
"""
_OPEN: Final = f"""
SELECT d.class, count(*), count(*) FILTER (WHERE {_IS_OVERDUE})
FROM reconciliation_differences d LEFT JOIN findings f ON f.id = d.finding
WHERE {_WAITS} GROUP BY d.class ORDER BY d.class
"""
_OF_RUN: Final = """
SELECT class, count(*), count(*) FILTER (WHERE outcome = 'repaired'), count(*) FILTER (WHERE run = %(run)s)
FROM reconciliation_differences WHERE last_run = %(run)s AND outcome <> 'gone' GROUP BY class
"""

_AGE: Final = """
SELECT extract(epoch FROM clock_timestamp() - coalesce(max(finished_at), min(started_at)))::float8 FROM reconciliations
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run. `done`: by step what it counted; `since` and `until` bound what is compared; `differences` by class."""

    id: UUID
    period: date
    cause: str
    status: str
    since: datetime
    until: datetime
    steps: Sequence[str]
    done: Mapping[str, Mapping[str, Any]]
    differences: Mapping[str, Mapping[str, int]]
    balances: Mapping[str, Mapping[str, Any]]
    is_clean: bool | None
    error: str | None
    attempts: int
    author: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A difference and what became of it; `amount` in units. `assigned_to`: who looks after its finding; `age_seconds`:
    how long it is, or was, open."""

    id: UUID
    run: UUID
    last_run: UUID
    kind: str
    name: str
    subject: str
    organization: UUID | None
    amount: int | None
    currency: str | None
    detail: Mapping[str, Any]
    outcome: str
    finding: UUID | None
    first_seen_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    assigned_to: str | None
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """Seconds since a run was finished last, or the first was begun; None: none was. By class the open differences, and
    those of them that are older than OVERDUE."""

    age_seconds: float | None
    open: Mapping[str, int]
    overdue: Mapping[str, int]


def find_run(cur: Cursor, run: UUID) -> Run:
    """Return one run. Raises NotFound."""
    row = cur.execute(f"{_RUN} WHERE id = %s", (run,)).fetchone()
    if row is None:
        raise NotFound("There is no such reconciliation.")
    return _run(row)


def running(cur: Cursor) -> Run | None:
    """Return the run that was begun and is not finished, if there is one."""
    row = cur.execute(f"{_RUN} WHERE status = 'running'").fetchone()
    return None if row is None else _run(row)


def newest_period(cur: Cursor) -> date | None:
    """Return the newest day that was run at night."""
    row = cur.execute("SELECT max(period) FROM reconciliations WHERE cause = 'nightly'").fetchone()
    return None if row is None else row[0]


def list_runs(cur: Cursor, *, before: UUID | None, limit: int) -> list[Run]:
    """Return runs, newest first."""
    found = cur.execute(
        f"{_RUN} WHERE (%s::uuid IS NULL OR id < %s) ORDER BY id DESC LIMIT %s", (before, before, limit)
    )
    return [_run(row) for row in found.fetchall()]


def list_differences(
    cur: Cursor,
    *,
    run: UUID | None = None,
    name: str | None = None,
    outcome: str | None = None,
    assigned_to: str | None = None,
    is_assigned: bool | None = None,
    is_overdue: bool | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[DifferenceRow]:
    """Return differences, the newest first; of a run: those that it met. `is_overdue`: open for longer than OVERDUE."""
    given = {
        "run": run, "class": name, "outcome": outcome, "assigned_to": assigned_to, "is_assigned": is_assigned,
        "is_overdue": is_overdue, "overdue": OVERDUE, "before": before, "limit": limit,
    }  # fmt: skip
    return [_difference(row) for row in cur.execute(_LIST, given).fetchall()]


def open_difference(cur: Cursor, *, subject: str, name: str) -> DifferenceRow | None:
    """Return the open difference of a class about a subject."""
    row = cur.execute(
        f"{_DIFFERENCE} WHERE d.subject = %s AND d.class = %s AND d.ended_at IS NULL", (subject, name)
    ).fetchone()
    return None if row is None else _difference(row)


def open_not_met(cur: Cursor, run: UUID) -> list[DifferenceRow]:
    """Return the open differences that a run has not met: they may be gone."""
    found = cur.execute(f"{_DIFFERENCE} WHERE d.ended_at IS NULL AND d.last_run <> %s ORDER BY d.id", (run,))
    return [_difference(row) for row in found.fetchall()]


def open_by_class(cur: Cursor) -> dict[str, int]:
    """Return how many differences are open, and not accepted by a person, by class."""
    return {name: count for name, count, _ in _open(cur)}


def met_by_class(cur: Cursor, run: UUID) -> dict[str, dict[str, int]]:
    """Return what a run met by class: found, of those repaired, and how many no run had met before."""
    found = cur.execute(_OF_RUN, {"run": run}).fetchall()
    return {name: {"found": every, "repaired": repaired, "new": new} for name, every, repaired, new in found}


def repaired_in(cur: Cursor, run: UUID, *, kind: str) -> int:
    """Return how many objects of a kind a run repaired, in all its attempts."""
    statement = (
        "SELECT count(*) FROM reconciliation_differences"
        " WHERE last_run = %s AND kind = %s AND outcome = 'repaired'"
    )
    row = cur.execute(statement, (run, kind)).fetchone()
    return 0 if row is None else int(row[0])


def health(cur: Cursor) -> Health:
    """Return what is watched."""
    row = cur.execute(_AGE).fetchone()
    found = _open(cur)
    return Health(
        age_seconds=None if row is None else row[0],
        open={name: count for name, count, _ in found},
        overdue={name: overdue for name, _, overdue in found},
    )


def age_seconds(cur: Any) -> float | None:
    """Return the seconds since a run was finished last, or the first was begun; None while none was."""
    return health(cur).age_seconds


def _open(cur: Cursor) -> list[tuple[str, int, int]]:
    return cur.execute(_OPEN, {"overdue": OVERDUE}).fetchall()


def _run(row: tuple[Any, ...]) -> Run:
    values: list[Any] = list(row)
    for place in _JSON:
        values[place] = json.loads(values[place])
    return Run(*values)


def _difference(row: tuple[Any, ...]) -> DifferenceRow:
    values: list[Any] = list(row)
    values[9] = json.loads(values[9])
    return DifferenceRow(*values)

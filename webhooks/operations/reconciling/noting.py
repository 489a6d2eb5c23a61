"""Keeping what differed: one row for each class and subject while it is open, with its finding; and its end."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from billing.operations.findings import open_finding, resolve_open
from common.clock import wall_now
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author
from webhooks.queries.reconciling.runs import DifferenceRow, open_difference
from webhooks.rules.reconciling.differences import FINDINGS, GONE, OPEN, REPAIRED, Difference

AUTHOR: Final = Author("system:webhooks.reconcile")
TOLD_BY_EFFECTS: Final = (
    "payment_mismatch", "payment_double", "payment_unknown", "refund_mismatch", "dispute_mismatch",
)  # fmt: skip
"""Kinds of findings that the operations open themselves: such a one is the difference's, too."""
_INSERT: Final = """
INSERT INTO reconciliation_differences (id, run, last_run, kind, class, subject, organization, amount, currency, detail,
    outcome, finding, first_seen_at, last_seen_at, ended_at)
VALUES (%(id)s, %(run)s, %(run)s, %(kind)s, %(class)s, %(subject)s, %(organization)s, %(amount)s, %(currency)s,
    %(detail)s::jsonb, %(outcome)s, %(finding)s, %(now)s, %(now)s, %(ended)s)
"""
_SEEN: Final = """
UPDATE reconciliation_differences SET last_run = %s, last_seen_at = %s, amount = %s, detail = %s::jsonb WHERE id = %s
"""
_END: Final = (
    "UPDATE reconciliation_differences SET outcome = %s, ended_at = %s WHERE id = %s AND ended_at IS NULL"
)
_KNOWN: Final = """
SELECT id, kind FROM findings WHERE subject = %s AND kind = ANY(%s) AND status = 'open' ORDER BY id LIMIT 1
"""


def note_repaired(cur: Cursor, run: UUID, found: Difference) -> None:
    """This function will keep a difference that was repaired; one that was open before ends so."""
    known = open_difference(cur, subject=found.subject, name=found.name)
    if known is None:
        _insert(cur, run, found, outcome=REPAIRED, finding=None)
    else:
        cur.execute(_SEEN, (run, wall_now(cur), found.amount, _json(found.detail), known.id))
        end_difference(cur, known, outcome=REPAIRED, reason="It was repaired.")


def note_open(cur: Cursor, run: UUID, found: Difference) -> bool:
    """This function will keep a difference that a person must see, with its finding, and say whether it is new.

    One that was met before keeps its age and its finding, also where a person has resolved that: it is accepted. It
    locks the organization, or the platform.
    """
    known = open_difference(cur, subject=found.subject, name=found.name)
    if known is not None:
        cur.execute(_SEEN, (run, wall_now(cur), found.amount, _json(found.detail), known.id))
        return False
    finding = _finding_of_effects(cur, found.subject) or open_finding(
        cur,
        organization=found.organization,
        kind=found.finding_kind,
        subject=found.subject,
        detail={"class": found.name, "amount": found.amount, "currency": found.currency, **found.detail},
        proposed=found.step,
        author=AUTHOR,
    )
    _insert(cur, run, found, outcome=OPEN, finding=finding)
    return True


def end_difference(cur: Cursor, row: DifferenceRow, *, reason: str, outcome: str = GONE) -> None:
    """This function will end a difference that is gone, and settle the finding that reconciliation opened for it."""
    cur.execute(_END, (outcome, wall_now(cur), row.id))
    resolve_open(
        cur,
        organization=row.organization,
        kind=FINDINGS[row.name][0],
        subject=row.subject,
        reason=reason,
        author=AUTHOR,
    )


def effects_finding(cur: Cursor, subject: str) -> str | None:
    """Return the kind of the open finding that an operation opened about a subject, if there is one."""
    row = cur.execute(_KNOWN, (subject, list(TOLD_BY_EFFECTS))).fetchone()
    return None if row is None else row[1]


def effects_findings(cur: Cursor, subject: str) -> list[UUID]:
    """Return the open findings that operations opened about a subject."""
    statement = (
        "SELECT id FROM findings WHERE subject = %s AND kind = ANY(%s) AND status = 'open' ORDER BY id"
    )
    return [row[0] for row in cur.execute(statement, (subject, list(TOLD_BY_EFFECTS))).fetchall()]


def _finding_of_effects(cur: Cursor, subject: str) -> UUID | None:
    row = cur.execute(_KNOWN, (subject, list(TOLD_BY_EFFECTS))).fetchone()
    return None if row is None else row[0]


def _insert(cur: Cursor, run: UUID, found: Difference, *, outcome: str, finding: UUID | None) -> None:
    now = wall_now(cur)
    given = {
        "id": new_id(), "run": run, "kind": found.kind, "class": found.name, "subject": found.subject,
        "organization": found.organization, "amount": found.amount, "currency": found.currency,
        "detail": _json(found.detail), "outcome": outcome, "finding": finding, "now": now,
        "ended": now if outcome == REPAIRED else None,
    }  # fmt: skip
    cur.execute(_INSERT, given)


def _json(detail: Any) -> str:
    return json.dumps(dict(detail), default=str)

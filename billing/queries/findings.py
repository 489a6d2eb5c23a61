"""Findings, as they are decided on and listed."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

from billing.rules.findings import Finding
from common.errors import NotFound
from events.store import Cursor

_JSON: Final = frozenset({"detail", "proposed", "notes"})
_NAMES: Final = tuple(field.name for field in fields(Finding))
_SELECT: Final = (
    "SELECT " + ", ".join(f"{name}::text" if name in _JSON else name for name in _NAMES) + " FROM findings"
)
_LIST: Final = f"""
{_SELECT} WHERE (%(organization)s::uuid IS NULL OR organization = %(organization)s)
    AND (%(status)s::text IS NULL OR status = %(status)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(subject)s::text IS NULL OR subject = %(subject)s)
    AND (%(assigned_to)s::text IS NULL OR assigned_to = %(assigned_to)s)
    AND (%(is_assigned)s::boolean IS NULL OR (assigned_to IS NOT NULL) = %(is_assigned)s)
    AND (%(before)s::uuid IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""
_COUNTS: Final = "SELECT kind, count(*) FROM findings WHERE status = 'open' GROUP BY kind ORDER BY kind"
_OLDEST: Final = """
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - f.opened_at + o.clock_offset)), 0)::float8
FROM findings f JOIN organizations o ON o.id = f.organization WHERE f.status = 'open'
"""


def find_finding(cur: Cursor, *, finding: UUID) -> Finding:
    """Return one finding. Raises NotFound."""
    row = cur.execute(f"{_SELECT} WHERE id = %s", (finding,)).fetchone()
    if row is None:
        raise NotFound("There is no such finding.")
    return _finding(row)


def open_one(cur: Cursor, *, organization: UUID, kind: str, subject: str) -> Finding | None:
    """Return the open finding of this kind about this subject, if there is one."""
    row = cur.execute(
        f"{_SELECT} WHERE organization = %s AND kind = %s AND subject = %s AND status = 'open'",
        (organization, kind, subject),
    ).fetchone()
    return None if row is None else _finding(row)


def last_decided(cur: Cursor, *, organization: UUID, kind: str, subject: str) -> Finding | None:
    """Return the newest finding of this kind about this subject that a person has resolved, if there is one."""
    row = cur.execute(
        f"{_SELECT} WHERE organization = %s AND kind = %s AND subject = %s AND status = 'resolved'"
        " AND resolved_by NOT LIKE 'system:%%' ORDER BY id DESC LIMIT 1",
        (organization, kind, subject),
    ).fetchone()
    return None if row is None else _finding(row)


def list_findings(
    cur: Cursor,
    *,
    organization: UUID | None,
    status: str | None,
    kind: str | None,
    subject: str | None,
    assigned_to: str | None = None,
    is_assigned: bool | None = None,
    before: UUID | None,
    limit: int,
) -> list[Finding]:
    """Return findings, newest first."""
    given = {
        "organization": organization,
        "status": status,
        "kind": kind,
        "subject": subject,
        "assigned_to": assigned_to,
        "is_assigned": is_assigned,
        "before": before,
        "limit": limit,
    }
    return [_finding(row) for row in cur.execute(_LIST, given).fetchall()]


def open_findings(cur: Cursor) -> dict[str, int]:
    """Return how many findings are open, by kind."""
    return dict(cur.execute(_COUNTS).fetchall())


def oldest_finding_seconds(cur: Cursor) -> float:
    """Return the age of the oldest open finding, in seconds of its customer's clock; 0 without one."""
    row = cur.execute(_OLDEST).fetchone()
    assert row is not None
    found: float = row[0]
    return found


def _finding(row: tuple[Any, ...]) -> Finding:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    return Finding(**values)

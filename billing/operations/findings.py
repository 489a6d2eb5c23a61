"""Opening, assigning and resolving findings: differences that a person must see (ADR 0016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.findings import find_finding, last_decided, open_one
from billing.rules.findings import OPEN, PARKED_IN, Finding, assigned, fact, noted, resolved
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

_GO_ON: Final = """
UPDATE {table} SET failures = 0, failed_at = NULL, parked_at = NULL, claimed_at = NULL
WHERE organization = %s AND parked_at IS NOT NULL
"""


def open_finding(
    cur: Cursor,
    *,
    organization: UUID | None,
    kind: str,
    subject: str,
    detail: Mapping[str, Any],
    proposed: Mapping[str, Any] | None = None,
    author: Author,
    once: bool = False,
) -> UUID:
    """This function will open a finding and return its id; while one of its kind and subject is open, that one's.

    `organization`: whom it is about; None: nobody but the platform. `detail` is the evidence as JSON (units, ids, times
    as text), `proposed` the entry or step that would settle it. `once`: of what is looked at again and again; with the
    same evidence it stays resolved when a person has decided on it. It locks the organization. Raises NotFound.
    """
    owner = organization or PLATFORM_ID
    locked = lock_organization(cur, owner)
    known = open_one(cur, organization=owner, kind=kind, subject=subject)
    if known is not None:
        return known.id
    if once:
        decided = last_decided(cur, organization=owner, kind=kind, subject=subject)
        if decided is not None and decided.detail == dict(detail):
            return decided.id
    made = Finding(
        id=new_id(),
        organization=owner,
        kind=kind,
        subject=subject,
        status=OPEN,
        detail=dict(detail),
        proposed=None if proposed is None else dict(proposed),
        assigned_to=None,
        notes=[],
        opened_at=locked.now,
        opened_by=author.actor,
        resolved_at=None,
        resolved_by=None,
        resolution=None,
        version=1,
    )
    record(cur, [fact(made, "opened", at=locked.now)], author=author)
    return made.id


def assign_finding(cur: Cursor, *, finding: UUID, to: str, author: Author) -> Finding:
    """This function will say who looks after a finding. Raises NotFound, InvalidTransition and InvalidField."""
    return _changed(cur, finding, "assigned", lambda found, _: assigned(found, to), author)


def note_finding(cur: Cursor, *, finding: UUID, text: str, author: Author) -> Finding:
    """This function will add a note to an open finding. Raises NotFound, InvalidTransition and InvalidField."""
    return _changed(
        cur, finding, "noted", lambda found, now: noted(found, text, by=author.actor, at=now), author
    )


def resolve_finding(cur: Cursor, *, finding: UUID, reason: str, author: Author) -> Finding:
    """This function will settle a finding; a customer whom a job had parked for it goes on. Raises NotFound,
    InvalidTransition and InvalidField without a reason."""
    done = _changed(
        cur, finding, "resolved", lambda found, now: resolved(found, reason, by=author.actor, at=now), author
    )
    if done.kind in PARKED_IN:
        cur.execute(_GO_ON.format(table=PARKED_IN[done.kind]), (done.organization,))
    return done


def resolve_open(
    cur: Cursor, *, organization: UUID | None, kind: str, subject: str, reason: str, author: Author
) -> bool:
    """This function will settle the open finding of a kind about a subject, and say whether there was one: what it was
    about is over by itself."""
    owner = organization or PLATFORM_ID
    known = open_one(cur, organization=owner, kind=kind, subject=subject)
    if known is None:
        return False  # most of the time; who opens one holds the same lock as the caller
    lock_organization(cur, owner)
    known = open_one(cur, organization=owner, kind=kind, subject=subject)
    if known is not None:
        resolve_finding(cur, finding=known.id, reason=reason, author=author)
    return known is not None


def _changed(
    cur: Cursor, finding: UUID, verb: str, change: Callable[[Finding, datetime], Finding], author: Author
) -> Finding:
    locked = lock_organization(cur, find_finding(cur, finding=finding).organization)
    done = change(find_finding(cur, finding=finding), locked.now)
    record(cur, [fact(done, verb, at=locked.now)], author=author)
    return done

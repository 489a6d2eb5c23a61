"""Whose turn it is: objects with events that wait are handed out, one worker at a time has an object.

The due column `next_at` says when somebody must look again. Handing out moves it on by OFFER, so that what a lost
message or a killed worker left undone is handed out again; a claim moves it to the end of the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from billing.stripe_gateway.client import LONGEST_CALL_SECONDS
from common.ids import new_id
from events.store import Cursor
from webhooks.operations.inbound.handlers import handler_of
from webhooks.operations.inbound.storing import source_of

OFFER: Final = timedelta(seconds=20)
LEASE: Final = timedelta(seconds=LONGEST_CALL_SECONDS + 9)
"""For each request that the fetch of an object takes: longer than one may take with its repetition, and some for what
is done with the answer. A killed worker's work is done after so long."""

_OFFER: Final = """
WITH due AS (
    SELECT id, subject, next_at FROM stripe_events WHERE next_at <= clock_timestamp()
    ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED
), offered AS (
    UPDATE stripe_events e SET next_at = clock_timestamp() + %s FROM due WHERE e.id = due.id
)
SELECT subject FROM due GROUP BY subject ORDER BY min(next_at)
"""
_LEASE: Final = """
INSERT INTO stripe_leases AS l (subject, token, leased_until)
SELECT subject, %(token)s, clock_timestamp() + lease
FROM unnest(%(subjects)s::text[], %(leases)s::interval[]) AS s(subject, lease) ORDER BY 1
ON CONFLICT (subject) DO UPDATE SET token = EXCLUDED.token, leased_until = EXCLUDED.leased_until
WHERE l.leased_until <= clock_timestamp()
RETURNING subject
"""
_CLAIM: Final = """
UPDATE stripe_events e SET state = 'processing', attempts = attempts + 1, next_at = l.leased_until
FROM stripe_leases l WHERE l.subject = e.subject AND l.token = %(token)s AND e.subject = ANY(%(subjects)s)
    AND e.next_at IS NOT NULL
RETURNING e.id, e.subject, e.source, e.account, e.kind, e.object_id, e.attempts, e.parkings,
    greatest(clock_timestamp() - e.received_at, interval '0')
"""
_LET_GO: Final = "DELETE FROM stripe_leases WHERE token = %s AND subject = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that is in work, how often it was begun, how often it was parked, and for how long it waits."""

    id: UUID
    attempts: int
    parkings: int
    waited: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Claim:
    """An object with the events that wait for it: what is fetched now is newer than all of them."""

    token: UUID
    subject: str
    source: str
    account: str
    kind: str
    object_id: str
    events: tuple[Waiting, ...]


def offer_subjects(cur: Cursor, *, limit: int) -> list[str]:
    """This function will return objects with events that are due, the longest waiting first, and not again within
    OFFER."""
    return [row[0] for row in cur.execute(_OFFER, (limit, OFFER)).fetchall()]


def claim_subjects(cur: Cursor, subjects: Sequence[str]) -> list[Claim]:
    """This function will lease those of the objects that nobody works on, with all events that wait for them."""
    token = new_id()
    wanted = sorted(set(subjects))
    named = {"token": token, "subjects": wanted, "leases": [lease_of(subject) for subject in wanted]}
    leased = [row[0] for row in cur.execute(_LEASE, named).fetchall()]
    if not leased:
        return []
    rows = cur.execute(_CLAIM, {"token": token, "subjects": leased}).fetchall()
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[1], []).append(row)
    if idle := [subject for subject in leased if subject not in found]:
        cur.execute(_LET_GO, (token, idle))
    return [_claim(token, found[subject]) for subject in leased if subject in found]


def lease_of(subject: str) -> timedelta:
    """Return for how long a worker may have an object: as long as all requests of its fetch may take."""
    account, _, named = subject.partition("/")
    handler = handler_of(source_of(account), named.partition(":")[0])
    return LEASE * (1 if handler is None else handler.calls)


def _claim(token: UUID, rows: Sequence[Any]) -> Claim:
    _, subject, source, account, kind, object_id, *_ = rows[0]
    events = tuple(Waiting(row[0], *row[6:]) for row in rows)
    return Claim(token, subject, source, account, kind, object_id, events)

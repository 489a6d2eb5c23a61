"""What happened to a customer between two events, in order of business time, as finance reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.telling import SILENT, Told, signed, tell
from events.reading import COLUMNS, StoredEvent, stored_events
from events.store import Cursor

# Each boundary is an event dated at its moment, which may be recorded after what is dated later.
_BETWEEN: Final = f"""
SELECT {COLUMNS} FROM events
WHERE organization = %(organization)s AND seq > %(after)s AND seq <= %(last)s AND NOT type = ANY(%(silent)s)
    AND (occurred_at, seq) > (%(at)s, %(seq)s)
ORDER BY occurred_at, seq LIMIT %(limit)s
"""
_ACCOUNTS: Final = "SELECT id::text, kind FROM accounts WHERE organization = %s"
_FIRST: Final = datetime.fromisoformat("0001-01-02T00:00:00+00:00")
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Posted:
    """A journal entry: when it is in effect, and its amounts (units, a credit is positive) by kind of account."""

    id: UUID
    kind: str
    effective_at: datetime
    currency: str
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened: what it says, and what was posted with it."""

    seq: int
    at: datetime
    type: str
    stream: UUID
    told: Told
    entries: tuple[Posted, ...]


def happenings(
    cur: Cursor, *, organization: UUID, after: int, last: int, at_once: int = AT_ONCE
) -> Iterator[Happening]:
    """Yield what happened to a customer after one event and up to another (numbers of the event log), in order of
    business time, read in pieces."""
    accounts = dict(cur.execute(_ACCOUNTS, (organization,)).fetchall())
    given: dict[str, Any] = {
        "organization": organization, "after": after, "last": last, "silent": sorted(SILENT), "limit": at_once,
        "at": _FIRST, "seq": 0,
    }  # fmt: skip
    while True:
        events = list(stored_events(cur.execute(_BETWEEN, given).fetchall()))
        for event in events:
            told = tell(event.type, event.data)
            if told is not None:
                entries = tuple(_posted(event, accounts))
                yield Happening(event.seq, event.occurred_at, event.type, event.stream_id, told, entries)
        if len(events) < at_once:
            return
        given |= {"at": events[-1].occurred_at, "seq": events[-1].seq}


def written(one: Happening) -> dict[str, Any]:
    """Return a happening as JSON for answers and files: amounts as decimal texts, times in UTC."""
    return {
        "seq": one.seq,
        "at": one.at.astimezone(UTC),
        "type": one.type,
        "object": one.stream,
        "text": one.told.text,
        "details": list(one.told.details),
        "entries": [_entry(entry) for entry in one.entries],
    }


def _entry(entry: Posted) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "effective_at": entry.effective_at.astimezone(UTC),
        "currency": entry.currency,
        "lines": [{"account": account, "amount": signed(amount)} for account, amount in entry.lines],
    }


def _posted(event: StoredEvent, accounts: dict[str, str]) -> Iterator[Posted]:
    for entry in event.data.get("ledger", {}).get("entries", ()):
        effective = entry.get("effective_at")
        yield Posted(
            UUID(entry["id"]),
            entry.get("kind", "usage"),
            event.occurred_at if effective is None else datetime.fromisoformat(effective),
            entry["currency"],
            tuple((accounts[str(account)], amount) for account, amount in entry["lines"]),
        )

"""Journal entries with their lines, as lists and pages show them."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

_ENTRIES: Final = """
SELECT e.id, e.organization, e.kind, e.source, e.idempotency_key, e.actor, e.reason, e.reverses, e.effective_at,
    e.recorded_at, (SELECT r.id FROM journal_entries r WHERE r.reverses = e.id),
    (SELECT json_agg(json_build_array(a.id, a.kind, p.currency, p.amount::text) ORDER BY p.n)::text
     FROM postings p JOIN accounts a ON a.id = p.account_id WHERE p.entry_id = e.id)
FROM journal_entries e
"""
_LIST: Final = (
    _ENTRIES
    + """
WHERE e.organization = %(organization)s AND (%(before)s::uuid IS NULL OR e.id < %(before)s)
    AND (%(kind)s::text IS NULL OR e.kind = %(kind)s) AND (%(source)s::text IS NULL OR e.source = %(source)s)
    AND (%(key)s::text IS NULL OR md5(e.idempotency_key)::uuid = md5(%(key)s)::uuid)
    AND (%(since)s::timestamptz IS NULL OR e.effective_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR e.effective_at < %(until)s)
    AND (%(account)s::uuid IS NULL OR EXISTS (SELECT 1 FROM postings p WHERE p.entry_id = e.id
        AND p.account_id = %(account)s))
ORDER BY e.id DESC LIMIT %(limit)s
"""
)
# The event was recorded in the entry's transaction.
_EVENT: Final = """
SELECT {columns} FROM journal_entries e JOIN events v ON v.organization = e.organization
    AND v.tx = e.tx AND v.epoch = e.epoch AND v.recorded_at BETWEEN e.recorded_at - interval '1 hour'
        AND e.recorded_at + interval '1 hour'
WHERE e.organization = %(organization)s AND e.id = %(entry)s
    AND (v.data->'ledger'->'entries')::jsonb @> jsonb_build_array(jsonb_build_object('id', e.id::text))
"""
_OF_STREAM: Final = """
    AND v.stream_id = COALESCE(substring(e.idempotency_key FROM
        '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')::uuid, e.id)
"""


@dataclass(frozen=True, slots=True)
class EntryLine:
    """A posting: amount in units, a credit is positive."""

    account: UUID
    kind: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A journal entry; `reversed_by` is the entry that takes it back, where there is one."""

    id: UUID
    organization: UUID
    kind: str
    source: str
    key: str
    actor: str
    reason: str
    reverses: UUID | None
    effective_at: datetime
    recorded_at: datetime
    reversed_by: UUID | None
    lines: list[EntryLine]


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries: of a kind, source or key, on an account, in effect in [since, until). None: all."""

    kind: str | None = None
    source: str | None = None
    key: str | None = None
    account: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_entries(
    cur: Cursor, *, organization: UUID, wanted: EntryFilter, before: UUID | None, limit: int
) -> list[EntryRow]:
    """Return journal entries with their lines, newest first."""
    cur.execute(
        _LIST,
        {"organization": organization, "before": before, "limit": limit, "kind": wanted.kind,
         "source": wanted.source, "key": wanted.key, "account": wanted.account, "since": wanted.since,
         "until": wanted.until},
    )  # fmt: skip
    return [_entry(row) for row in cur.fetchall()]


def find_entry(cur: Cursor, *, organization: UUID, entry: UUID) -> EntryRow:
    """Return one journal entry with its lines. Raises NotFound, also for another organization's."""
    row = cur.execute(f"{_ENTRIES} WHERE e.organization = %s AND e.id = %s", (organization, entry)).fetchone()
    if row is None:
        raise NotFound("There is no such journal entry.")
    return _entry(row)


def organization_of_entry(cur: Cursor, entry: UUID) -> UUID:
    """Return whose journal entry it is. Raises NotFound."""
    row = cur.execute("SELECT organization FROM journal_entries WHERE id = %s", (entry,)).fetchone()
    if row is None:
        raise NotFound("There is no such journal entry.")
    found: UUID = row[0]
    return found


def posted_keys(cur: Cursor, *, organization: UUID, keys: list[str]) -> dict[str, UUID]:
    """Return the ids of the entries that were posted under these keys."""
    cur.execute(
        "SELECT idempotency_key, id FROM journal_entries WHERE organization = %s"
        " AND md5(idempotency_key)::uuid = ANY(SELECT md5(k)::uuid FROM unnest(%s::text[]) AS k)",
        (organization, keys),
    )
    return dict(cur.fetchall())


def ledger_part(cur: Cursor, *, organization: UUID, entry: UUID) -> dict[str, Any]:
    """Return the ledger's part of the event that an entry was posted with: which grants it burnt, made or expired.

    The entry's key mostly ends with the id of the event's stream, which has an index; else the organization's events
    around the entry's time are searched. Raises NotFound.
    """
    part: dict[str, Any] = json.loads(_of_event(cur, organization, entry, "(v.data->'ledger')::text")[0])
    return part


def shares_of_entry(
    cur: Cursor, *, organization: UUID, entry: UUID
) -> tuple[str, date, dict[str, Any]] | None:
    """Return who shares in the charge that an entry posted, as its event says, with the id of the usage record and the
    day (business clock, UTC) of the charge; None where nobody does. Raises NotFound."""
    columns = "coalesce(v.data->>'usage', v.stream_id::text), v.occurred_at, (v.data->'shares')::text"
    usage, at, shares = _of_event(cur, organization, entry, columns)
    return None if shares is None else (usage, at.astimezone(UTC).date(), json.loads(shares))


def _of_event(cur: Cursor, organization: UUID, entry: UUID, columns: str) -> tuple[Any, ...]:
    statement = _EVENT.replace("{columns}", columns)
    for condition in (_OF_STREAM, ""):
        row = cur.execute(statement + condition, {"organization": organization, "entry": entry}).fetchone()
        if row is not None:
            return tuple(row)
    raise NotFound("There is no such journal entry.")


def _entry(row: tuple[Any, ...]) -> EntryRow:
    # Django leaves json to its own fields: on its connections it comes as text, here always.
    lines = [
        EntryLine(UUID(account), kind, currency, int(amount))
        for account, kind, currency, amount in json.loads(row[-1] or "[]")
    ]
    return EntryRow(*(*row[:-1], lines))

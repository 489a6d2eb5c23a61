"""The journal for an audit by programs that are not ours, of one organization or of all."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from events.store import Cursor
from ledger.rules.journalfiles import ExportedAccount, ExportedEntry

# Balances are what the books state (rows of accounts with a limit, snapshots), not sums of the entries exported
# beside them: so that the reader of the file compares two things. As of an earlier moment there are only sums.
_STATED: Final = """
CASE WHEN a.live THEN a.posted ELSE COALESCE(s.balance, 0) + COALESCE((SELECT sum(p.amount) FROM postings p
    WHERE p.account_id = a.id AND (p.epoch, p.tx) >= (COALESCE(s.epoch, 0), COALESCE(s.horizon, '0'))), 0) END
"""
_ADDED_UP: Final = """
COALESCE((SELECT sum(p.amount) FROM postings p JOIN journal_entries e ON e.id = p.entry_id
    WHERE p.account_id = a.id AND e.effective_at <= %(as_of)s), 0)
"""
_ACCOUNTS: Final = """
SELECT a.id, a.organization, a.kind, a.currency, a.counterparty, {balance}::text
FROM accounts a LEFT JOIN account_snapshots s ON s.account_id = a.id
WHERE (%(organization)s::uuid IS NULL OR a.organization = %(organization)s)
    AND ((a.live AND a.posted <> 0) OR s.balance <> 0 OR EXISTS (SELECT FROM postings p WHERE p.account_id = a.id))
ORDER BY a.organization, a.kind, a.currency, a.id
"""
_SELECTED: Final = """
FROM journal_entries e WHERE (%(organization)s::uuid IS NULL OR e.organization = %(organization)s)
    AND (%(as_of)s::timestamptz IS NULL OR e.effective_at <= %(as_of)s)
"""
_FIRST: Final = f"SELECT min(e.effective_at), clock_timestamp() {_SELECTED}"
_ENTRIES: Final = f"""
SELECT e.id, e.organization, e.kind, e.source, e.idempotency_key, e.actor, e.reason, e.reverses, e.effective_at,
    e.recorded_at, p.accounts, p.amounts, p.currencies
FROM (SELECT * {_SELECTED}) AS e, LATERAL (SELECT array_agg(account_id ORDER BY n) AS accounts,
    array_agg(amount ORDER BY n) AS amounts, array_agg(currency ORDER BY n) AS currencies
    FROM postings WHERE entry_id = e.id) AS p
ORDER BY e.effective_at, e.id
"""
_AT_ONCE: Final = 2_000


def first_moment(cur: Cursor, *, organization: UUID | None, as_of: datetime | None) -> datetime:
    """Return when the first entry took effect; now, when there is none."""
    row = cur.execute(_FIRST, {"organization": organization, "as_of": as_of}).fetchone()
    assert row is not None
    found: datetime = row[0] or row[1]
    return found


def exported_accounts(
    cur: Cursor, *, organization: UUID | None, as_of: datetime | None
) -> list[ExportedAccount]:
    """Return all accounts that were ever used, with their balances in units: as the books state them now, or
    added up to the moment `as_of` (when entries took effect)."""
    statement = _ACCOUNTS.format(balance=_STATED if as_of is None else _ADDED_UP)
    cur.execute(statement, {"organization": organization, "as_of": as_of})
    return [_account(row) for row in cur.fetchall()]


def exported_entries(
    connection: psycopg.Connection[Any], *, organization: UUID | None, as_of: datetime | None
) -> Iterator[ExportedEntry]:
    """Return all entries with their lines in the order in which they took effect, read in pages.

    The connection is in a transaction.
    """
    with connection.cursor(name="journal") as cur:
        cur.itersize = _AT_ONCE
        for row in cur.execute(_ENTRIES, {"organization": organization, "as_of": as_of}):
            yield _entry(row)


def _account(row: tuple[Any, ...]) -> ExportedAccount:
    values = [*row[:-1], int(row[-1])]
    return ExportedAccount(*values)


def _entry(row: tuple[Any, ...]) -> ExportedEntry:
    accounts, amounts, currencies = (column or [] for column in row[-3:])
    values = [*row[:-3], list(zip(accounts, amounts, currencies, strict=True))]
    return ExportedEntry(*values)

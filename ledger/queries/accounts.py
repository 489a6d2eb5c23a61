"""Accounts of an organization: their ids and balances."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

IDS: Final = """
SELECT kind, id FROM accounts WHERE organization = %s AND currency = %s AND counterparty IS NULL
"""
# What is newer than the snapshot is read from the index (account_id, epoch, tx); it stays short however long the
# account's history is.
_POSTED: Final = """
CASE WHEN a.live THEN a.posted ELSE (COALESCE(s.balance, 0) + COALESCE((SELECT sum(p.amount) FROM postings p
    WHERE p.account_id = a.id AND (p.epoch, p.tx) >= (COALESCE(s.epoch, 0), COALESCE(s.horizon, '0'))), 0))::bigint END
"""
_ACCOUNTS: Final = f"""
SELECT a.id, a.organization, a.kind, a.currency, a.counterparty, a.live, {_POSTED}, a.held, a.debt, a.credit_limit
FROM accounts a LEFT JOIN account_snapshots s ON s.account_id = a.id
"""
_AS_OF: Final = """
SELECT COALESCE(sum(p.amount), 0)::bigint FROM postings p JOIN journal_entries e ON e.id = p.entry_id
WHERE p.account_id = %(account)s AND (%(effective)s::timestamptz IS NULL OR e.effective_at <= %(effective)s)
    AND (%(recorded)s::timestamptz IS NULL OR e.recorded_at <= %(recorded)s)
"""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with its balance: posted, held and debt in units of 10^-8; a credit is positive."""

    id: UUID
    organization: UUID
    kind: str
    currency: str
    counterparty: UUID | None
    live: bool
    posted: int
    held: int
    debt: int
    credit_limit: int | None


@dataclass(frozen=True, slots=True)
class AsOf:
    """A moment on both axes: what was in effect by then, as the books knew it by then. None: no bound.

    Both bounds are inclusive.
    """

    effective_at: datetime | None = None
    recorded_at: datetime | None = None


def closed_until(cur: Cursor, organization: UUID) -> datetime | None:
    """Return from when on an organization's books are open; None: every month is."""
    row = cur.execute(
        "SELECT closed_until FROM closed_books WHERE organization = %s", (organization,)
    ).fetchone()
    return None if row is None else row[0]


def account_ids(cur: Cursor, *, organization: UUID, currency: str) -> dict[str, UUID]:
    """Return the ids of the organization's own accounts in a currency, by kind; they never change."""
    cur.execute(IDS, (organization, currency))
    return dict(cur.fetchall())


def balance(cur: Cursor, *, organization: UUID, account: UUID) -> int:
    """Return what is posted on an account, in units (L3); the cost does not grow with its history.

    Raises NotFound.
    """
    return find_account(cur, organization=organization, account=account).posted


def find_account(cur: Cursor, *, organization: UUID, account: UUID) -> AccountRow:
    """Return an account with its balance. Raises NotFound, also for another organization's."""
    row = cur.execute(
        f"{_ACCOUNTS} WHERE a.organization = %s AND a.id = %s", (organization, account)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such account.")
    return AccountRow(*row)


def organization_of_account(cur: Cursor, account: UUID) -> UUID:
    """Return whose account it is. Raises NotFound."""
    row = cur.execute("SELECT organization FROM accounts WHERE id = %s", (account,)).fetchone()
    if row is None:
        raise NotFound("There is no such account.")
    found: UUID = row[0]
    return found


def list_accounts(cur: Cursor, *, organization: UUID, after: UUID | None, limit: int) -> list[AccountRow]:
    """Return accounts with their balances in the order in which they were opened, from the one after `after`."""
    cur.execute(
        f"{_ACCOUNTS} WHERE a.organization = %(organization)s AND (%(after)s::uuid IS NULL OR a.id > %(after)s) "
        "ORDER BY a.id LIMIT %(limit)s",
        {"organization": organization, "after": after, "limit": limit},
    )
    return [AccountRow(*row) for row in cur.fetchall()]


def balance_as_of(cur: Cursor, *, account: UUID, as_of: AsOf) -> int:
    """Return the sum of an account's postings as of a moment on either axis, in units; added up from the journal."""
    row = cur.execute(
        _AS_OF, {"account": account, "effective": as_of.effective_at, "recorded": as_of.recorded_at}
    ).fetchone()
    assert row is not None
    total: int = row[0]
    return total

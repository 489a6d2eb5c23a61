"""The credit balance of an organization, as its customers see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from ledger.rules.grants import Grant, available

# One statement, so that the balance and its grants are of one moment.
BALANCE: Final = """
SELECT o.currency, a.posted, a.held, a.debt, clock_timestamp() + o.clock_offset, g.id, g.kind, g.priority, g.scope,
    g.scope_target, g.remaining, g.held, g.effective_at, g.expires_at, g.created_at, g.expired_at,
    g.funding_source, g.gift, g.organization, g.currency, g.amount, g.reason
FROM organizations o JOIN accounts a ON a.organization = o.id AND a.kind = 'customer_credit' AND a.currency = o.currency
    AND a.counterparty IS NULL
LEFT JOIN credit_grants g ON g.account_id = a.id AND g.remaining > 0
WHERE o.id = %s ORDER BY g.id
"""
_GRANTS: Final = """
SELECT id, kind, priority, scope, scope_target, remaining, held, effective_at, expires_at, created_at, expired_at,
    funding_source, gift, organization, currency, amount, reason FROM credit_grants
"""
OPEN_GRANTS: Final = f"{_GRANTS} WHERE account_id = %s AND remaining > 0 ORDER BY id"
FIND_GRANTS: Final = f"{_GRANTS} WHERE organization = %s AND id = ANY(%s::uuid[]) ORDER BY id"
GRANT_LIST: Final = (
    f"{_GRANTS} WHERE organization = %s AND (%s::uuid IS NULL OR id < %s) ORDER BY id DESC LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant with what only people ask for: whose it is, its currency, its first amount and its reason."""

    grant: Grant
    organization: UUID
    currency: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class CreditBalance:
    """posted = sum of postings; available = what the gate may still reserve; amounts in units of 10^-8."""

    currency: str
    posted: int
    held: int
    debt: int
    available: int
    grants: list[GrantRow]
    at: datetime


def credit_balance(cur: Cursor, *, organization: UUID) -> CreditBalance:
    """Return the organization's credit at its business clock. Raises NotFound."""
    rows = cur.execute(BALANCE, (organization,)).fetchall()
    if not rows:
        raise NotFound("This organization has no credit account.")
    currency, posted, held, debt, now = rows[0][:5]
    grants = [grant_row(row[5:]) for row in rows if row[5] is not None]
    free = available([item.grant for item in grants], debt, now)
    return CreditBalance(currency, posted, held, debt, free, grants, now)


def open_grants(cur: Cursor, *, account: UUID) -> list[GrantRow]:
    """Return the grants of an account that still hold something, oldest first."""
    return [grant_row(row) for row in cur.execute(OPEN_GRANTS, (account,)).fetchall()]


def find_grants(cur: Cursor, *, organization: UUID, grants: list[UUID]) -> list[GrantRow]:
    """Return these grants of the organization, used up or not."""
    cur.execute(FIND_GRANTS, (organization, grants))
    return [grant_row(row) for row in cur.fetchall()]


def grants_by_source(cur: Cursor, *, account: UUID, source: str) -> set[UUID]:
    """Return which grants of an account something gave."""
    statement = "SELECT id FROM credit_grants WHERE account_id = %s AND remaining > 0 AND source = %s"
    return {row[0] for row in cur.execute(statement, (account, source)).fetchall()}


def organization_of_grant(cur: Cursor, grant: UUID) -> UUID:
    """Return whose grant it is. Raises NotFound."""
    row = cur.execute("SELECT organization FROM credit_grants WHERE id = %s", (grant,)).fetchone()
    if row is None:
        raise NotFound("There is no such grant.")
    found: UUID = row[0]
    return found


def list_grants(cur: Cursor, *, organization: UUID, before: UUID | None, limit: int) -> list[GrantRow]:
    """Return the organization's grants, newest first."""
    return [
        grant_row(row) for row in cur.execute(GRANT_LIST, (organization, before, before, limit)).fetchall()
    ]


def grant_row(row: tuple[Any, ...]) -> GrantRow:
    """Return the grant of a row of these statements."""
    *grant, organization, currency, amount, reason = row
    return GrantRow(Grant(*grant), organization, currency, amount, reason)

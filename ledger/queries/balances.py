"""The credit balance of an organization, as its customers see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from ledger.rules.grants import Grant, available

BALANCE = """
SELECT o.currency, a.id, a.posted, a.held, a.debt, clock_timestamp() + o.clock_offset
FROM organizations o JOIN accounts a ON a.organization = o.id AND a.kind = 'customer_credit' AND a.currency = o.currency
    AND a.counterparty IS NULL
WHERE o.id = %s
"""
GRANTS = """
SELECT id, kind, priority, scope, scope_target, remaining, held, effective_at, expires_at, created_at, expired_at,
    amount, reason
FROM credit_grants WHERE account_id = %s AND remaining > 0 ORDER BY id
"""
GRANT_LIST = """
SELECT id, kind, priority, scope, scope_target, remaining, held, effective_at, expires_at, created_at, expired_at,
    amount, reason
FROM credit_grants WHERE organization = %s AND (%s::uuid IS NULL OR id < %s) ORDER BY id DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant with what only people ask for: its first amount and its reason."""

    grant: Grant
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
    row = cur.execute(BALANCE, (organization,)).fetchone()
    if row is None:
        raise NotFound("This organization has no credit account.")
    currency, account, posted, held, debt, now = row
    grants = [grant_row(item) for item in cur.execute(GRANTS, (account,)).fetchall()]
    free = available([item.grant for item in grants], debt, now)
    return CreditBalance(currency, posted, held, debt, free, grants, now)


def list_grants(cur: Cursor, *, organization: UUID, before: UUID | None, limit: int) -> list[GrantRow]:
    """Return the organization's grants, newest first."""
    return [
        grant_row(row) for row in cur.execute(GRANT_LIST, (organization, before, before, limit)).fetchall()
    ]


def grant_row(row: tuple[Any, ...]) -> GrantRow:
    """Return the grant of a row of these statements."""
    *grant, amount, reason = row
    return GrantRow(Grant(*grant), amount, reason)

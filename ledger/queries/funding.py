"""What a charge of an organization is paid from, source by source, in the order in which it is taken (S75)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from ledger.queries.balances import GrantRow, grant_row
from ledger.rules.grants import SOURCES, available, is_live

# One statement, so that all of it is of one moment.
_FUNDING: Final = """
SELECT o.currency, o.funding, clock_timestamp() + o.clock_offset, a.debt, l.posted, l.held, l.credit_limit, l.line,
    g.id,
    g.kind, g.priority, g.scope, g.scope_target, g.remaining, g.held, g.effective_at, g.expires_at, g.created_at,
    g.expired_at, g.funding_source, g.gift, g.organization, g.currency, g.amount, g.reason
FROM organizations o JOIN accounts a ON a.organization = o.id AND a.kind = 'customer_credit' AND a.currency = o.currency
    AND a.counterparty IS NULL
JOIN accounts l ON l.organization = o.id AND l.kind = 'unbilled_receivable' AND l.currency = o.currency
    AND l.counterparty IS NULL
LEFT JOIN credit_grants g ON g.account_id = a.id AND g.remaining > 0
WHERE o.id = %s ORDER BY g.id
"""
_LINE: Final = """
SELECT o.funding, l.line, l.credit_limit FROM organizations o JOIN accounts l ON l.organization = o.id
    AND l.currency = o.currency AND l.kind = 'unbilled_receivable' AND l.counterparty IS NULL
WHERE o.id = %s
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Allowance, commitment or credit: what its live grants have left and hold, and every grant that has not ended.

    `available` does not count debt, which the gate subtracts from all of them together.
    """

    source: str
    remaining: int
    held: int
    grants: list[GrantRow]

    @property
    def available(self) -> int:
        """What is neither used nor held."""
        return self.remaining - self.held


@dataclass(frozen=True, slots=True)
class Line:
    """The postpaid line: what is used and on no invoice yet, what is held, and how far both may go (None: no limit)."""

    owed: int
    held: int
    limit: int | None

    @property
    def available(self) -> int | None:
        """What may still be held; None without a limit."""
        return None if self.limit is None else max(0, self.limit - self.owed - self.held)


@dataclass(frozen=True, slots=True)
class LineMode:
    """credit_only, or credit_then_invoice up to a limit in units (None: no limit)."""

    mode: str
    limit: int | None


@dataclass(frozen=True, slots=True)
class Funding:
    """The sources in the order of S75, then the line that a postpaid organization has; amounts in units."""

    currency: str
    mode: str
    debt: int
    sources: list[Source]
    line: Line | None
    at: datetime

    @property
    def available(self) -> int | None:
        """What a call for the whole organization's grants may take now; None without a limit. Debt shuts the line."""
        free = max(0, sum(source.available for source in self.sources) - self.debt)
        if self.line is None or self.debt:
            return free
        return None if self.line.available is None else free + self.line.available


def funding_of(cur: Cursor, *, organization: UUID) -> Funding:
    """Return what pays for the organization's charges at its business clock. Raises NotFound."""
    rows = cur.execute(_FUNDING, (organization,)).fetchall()
    if not rows:
        raise NotFound("This organization has no credit account.")
    currency, funding, now, debt, posted, held, limit, line = rows[0][:8]
    grants = [grant_row(row[8:]) for row in rows if row[8] is not None]
    is_open = is_line_open(funding, line)
    return Funding(
        currency,
        "credit_then_invoice" if is_open else "credit_only",
        debt,
        [_source(source, grants, now) for source in SOURCES],
        Line(-posted, held, limit) if is_open or posted or held else None,
        now,
    )


def is_line_open(funding: str, line: str | None) -> bool:
    """Whether what credit does not cover is invoiced: as was published from above, else as the organization has it."""
    return funding == "postpaid" if line is None else line == "open"


def line_mode(cur: Cursor, *, organization: UUID) -> LineMode:
    """Return what becomes of what credit does not cover. Without an account for it, it is not invoiced."""
    row = cur.execute(_LINE, (organization,)).fetchone()
    if row is None or not is_line_open(row[0], row[1]):
        return LineMode("credit_only", None)
    return LineMode("credit_then_invoice", row[2])


def _source(source: str, rows: list[GrantRow], now: datetime) -> Source:
    of_it = [row for row in rows if row.grant.source == source]
    live = [row.grant for row in of_it if is_live(row.grant, now)]
    held = sum(grant.held for grant in live)
    coming = [row for row in of_it if row.grant.expires_at is None or now < row.grant.expires_at]
    return Source(source, available(live, 0, now) + held, held, coming)

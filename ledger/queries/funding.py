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
SELECT o.currency, o.funding, clock_timestamp() + o.clock_offset, a.debt, l.posted, l.held, l.credit_limit, g.id,
    g.kind, g.priority, g.scope, g.scope_target, g.remaining, g.held, g.effective_at, g.expires_at, g.created_at,
    g.expired_at, g.funding_source, g.gift, g.organization, g.currency, g.amount, g.reason
FROM organizations o JOIN accounts a ON a.organization = o.id AND a.kind = 'customer_credit' AND a.currency = o.currency
    AND a.counterparty IS NULL
JOIN accounts l ON l.organization = o.id AND l.kind = 'unbilled_receivable' AND l.currency = o.currency
    AND l.counterparty IS NULL
LEFT JOIN credit_grants g ON g.account_id = a.id AND g.remaining > 0
WHERE o.id = %s ORDER BY g.id
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
    currency, funding, now, debt, posted, held, limit = rows[0][:7]
    grants = [grant_row(row[7:]) for row in rows if row[7] is not None]
    is_postpaid = funding == "postpaid"
    return Funding(
        currency,
        "credit_then_invoice" if is_postpaid else "credit_only",
        debt,
        [_source(source, grants, now) for source in SOURCES],
        Line(-posted, held, limit) if is_postpaid else None,
        now,
    )


def _source(source: str, rows: list[GrantRow], now: datetime) -> Source:
    of_it = [row for row in rows if row.grant.source == source]
    live = [row.grant for row in of_it if is_live(row.grant, now)]
    held = sum(grant.held for grant in live)
    coming = [row for row in of_it if row.grant.expires_at is None or now < row.grant.expires_at]
    return Source(source, available(live, 0, now) + held, held, coming)

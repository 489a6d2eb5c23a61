"""Statements of an account and trial balances, added up from the journal on either time axis."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from events.store import Cursor
from ledger.queries.accounts import AsOf

AXES: Final = ("effective", "recorded")
_OPENING: Final = """
SELECT COALESCE(sum(p.amount), 0)::bigint FROM postings p JOIN journal_entries e ON e.id = p.entry_id
WHERE p.account_id = %(account)s AND e.{axis}_at < %(start)s
"""
_LINES: Final = """
SELECT e.id, p.n, e.{axis}_at, e.kind, e.source, e.reason, e.actor, p.amount
FROM postings p JOIN journal_entries e ON e.id = p.entry_id
WHERE p.account_id = %(account)s AND e.{axis}_at >= %(start)s AND e.{axis}_at < %(end)s
    AND (%(at)s::timestamptz IS NULL OR (e.{axis}_at, e.id, p.n) > (%(at)s, %(entry)s::uuid, %(n)s::smallint))
ORDER BY e.{axis}_at, e.id, p.n LIMIT %(limit)s
"""
_TRIAL: Final = """
SELECT a.kind, a.currency, COALESCE(sum(p.amount) FILTER (WHERE p.amount < 0), 0)::numeric,
    COALESCE(sum(p.amount) FILTER (WHERE p.amount > 0), 0)::numeric
FROM postings p JOIN journal_entries e ON e.id = p.entry_id JOIN accounts a ON a.id = p.account_id
WHERE (%(organization)s::uuid IS NULL OR a.organization = %(organization)s)
    AND (%(effective)s::timestamptz IS NULL OR e.effective_at <= %(effective)s)
    AND (%(recorded)s::timestamptz IS NULL OR e.recorded_at <= %(recorded)s)
GROUP BY a.kind, a.currency ORDER BY a.currency, a.kind
"""


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) on one of the two axes: when entries took effect, or when they were recorded."""

    start: datetime
    end: datetime
    axis: str = "effective"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting; `balance` is the account's after it. Amounts in units, a credit is positive."""

    entry_id: UUID
    n: int
    at: datetime
    kind: str
    source: str
    reason: str
    actor: str
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Statement:
    """opening + the sum of all lines of the period = closing; `lines` may be one page of them."""

    account: UUID
    period: Period
    opening: int
    closing: int
    lines: list[StatementLine]


@dataclass(frozen=True, slots=True)
class TrialLine:
    """What is debited (negative) and credited in all on the accounts of one kind and currency."""

    kind: str
    currency: str
    debits: int
    credits: int

    @property
    def balance(self) -> int:
        """The net balance; a credit is positive."""
        return self.debits + self.credits


@dataclass(frozen=True, slots=True)
class After:
    """Where the last page of a statement ended, and the balance there."""

    at: datetime
    entry_id: UUID
    n: int
    balance: int


def statement(
    cur: Cursor, *, account: UUID, period: Period, after: After | None = None, limit: int | None = None
) -> Statement:
    """Return an account's statement of a period: opening, lines in order of time, closing.

    Closing is the opening of a statement that begins where this one ends.
    """
    opening = _sum_before(cur, account, period.start, period.axis)
    closing = _sum_before(cur, account, period.end, period.axis)
    cur.execute(
        _LINES.format(axis=_axis(period.axis)),
        {"account": account, "start": period.start, "end": period.end, "limit": limit, **_place(after)},
    )
    balance = after.balance if after else opening
    lines = []
    for row in cur.fetchall():
        balance += row[-1]
        lines.append(StatementLine(*(*row, balance)))
    return Statement(account, period, opening, closing, lines)


def trial_balance(cur: Cursor, *, organization: UUID | None, as_of: AsOf | None = None) -> list[TrialLine]:
    """Return debits and credits by kind and currency as of a moment; per currency they sum to zero (L1).

    `organization` None: of all organizations together.
    """
    as_of = as_of or AsOf()
    cur.execute(
        _TRIAL,
        {"organization": organization, "effective": as_of.effective_at, "recorded": as_of.recorded_at},
    )
    return [TrialLine(kind, currency, int(low), int(high)) for kind, currency, low, high in cur.fetchall()]


def _place(after: After | None) -> dict[str, Any]:
    if after is None:
        return {"at": None, "entry": None, "n": None}
    return {"at": after.at, "entry": after.entry_id, "n": after.n}


def _sum_before(cur: Cursor, account: UUID, moment: datetime, axis: str) -> int:
    row = cur.execute(_OPENING.format(axis=_axis(axis)), {"account": account, "start": moment}).fetchone()
    assert row is not None
    total: int = row[0]
    return total


def _axis(axis: str) -> str:
    if axis not in AXES:
        raise ValueError(f"the axes are {AXES}")
    return axis

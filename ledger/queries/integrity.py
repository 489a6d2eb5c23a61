"""The invariants of the books, worked out from the facts by code that shares nothing with the writers.

Sums of postings and of open holds are made anew; balances, counters and snapshots are what is being judged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from events.store import Cursor
from ledger.rules.chart import KINDS, LIVE


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that does not hold: the invariant, the organization, the object's id and what is wrong with it."""

    invariant: str
    organization: UUID | None
    object: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.object} of organization {self.organization}: {self.detail}"


# Each statement gives (organization, object, detail). {in} narrows a column to the organizations asked for.
_CHECKS: Final = (
    ("L1", """
    SELECT organization, 'entry ' || entry_id, 'its postings sum to ' || sum(amount) || ' ' || currency
    FROM postings WHERE {in:organization} GROUP BY organization, entry_id, currency HAVING sum(amount) <> 0
    """),
    ("L1", """
    SELECT e.organization, 'entry ' || e.id, 'it has no postings' FROM journal_entries e
    WHERE {in:e.organization} AND NOT EXISTS (SELECT FROM postings p WHERE p.entry_id = e.id)
    """),
    ("L1", """
    SELECT p.organization, 'posting ' || p.entry_id || '/' || p.n, 'entry or account is not of its organization,'
        || ' currency or transaction'
    FROM postings p LEFT JOIN journal_entries e ON e.id = p.entry_id LEFT JOIN accounts a ON a.id = p.account_id
    WHERE {in:p.organization} AND (e.organization, e.tx, e.epoch, a.organization, a.currency)
        IS DISTINCT FROM (p.organization, p.tx, p.epoch, p.organization, p.currency)
    """),
    ("L2", """
    SELECT e.organization, 'entry ' || e.id, 'it does not reverse entry ' || e.reverses || ' exactly'
    FROM journal_entries e WHERE e.reverses IS NOT NULL AND {in:e.organization} AND (
        NOT EXISTS (SELECT FROM journal_entries r WHERE r.id = e.reverses AND r.organization = e.organization)
        OR EXISTS (SELECT FROM (SELECT account_id, currency, amount FROM postings WHERE entry_id = e.id
            UNION ALL SELECT account_id, currency, amount FROM postings WHERE entry_id = e.reverses) AS both_entries
            GROUP BY account_id, currency HAVING sum(amount) <> 0))
    """),
    ("L3", """
    WITH sums AS (SELECT account_id, sum(amount) AS amount FROM postings WHERE {in:organization} GROUP BY account_id),
    tails AS (SELECT p.account_id, sum(p.amount) AS amount FROM postings p JOIN account_snapshots n
            ON n.account_id = p.account_id AND (p.epoch > n.epoch OR (p.epoch = n.epoch AND p.tx >= n.horizon))
        WHERE {in:p.organization} GROUP BY p.account_id),
    said AS (SELECT a.id, a.organization, CASE WHEN a.live THEN a.posted WHEN n.account_id IS NULL THEN s.amount
            ELSE n.balance + COALESCE(t.amount, 0) END AS posted, s.amount
        FROM accounts a LEFT JOIN account_snapshots n ON n.account_id = a.id LEFT JOIN sums s ON s.account_id = a.id
            LEFT JOIN tails t ON t.account_id = a.id WHERE {in:a.organization})
    SELECT organization, 'account ' || id, 'it says ' || COALESCE(posted, 0) || ', its postings sum to '
        || COALESCE(amount, 0)
    FROM said WHERE COALESCE(posted, 0) <> COALESCE(amount, 0)
    """),
    ("L3", """
    SELECT organization, 'account ' || id, 'it keeps figures in its row, but has no limit' FROM accounts
    WHERE {in:organization} AND NOT live AND (posted, held, debt) <> (0, 0, 0)
    """),
    ("L4", """
    WITH open AS (SELECT account_id, sum(amount) AS amount FROM holds WHERE status = 'placed' AND {in:organization}
        GROUP BY account_id)
    SELECT a.organization, 'account ' || a.id, 'it says ' || a.held || ' held, its open holds sum to '
        || COALESCE(o.amount, 0)
    FROM accounts a LEFT JOIN open o ON o.account_id = a.id
    WHERE {in:a.organization} AND a.held <> COALESCE(o.amount, 0)
    """),
    ("L4", """
    WITH open AS (SELECT part.id, sum(part.amount) AS amount FROM holds h,
        unnest(h.grants, h.grant_amounts) AS part(id, amount) WHERE h.status = 'placed' AND {in:h.organization}
        GROUP BY part.id)
    SELECT g.organization, 'grant ' || g.id, 'it says ' || g.held || ' held, its open holds sum to '
        || COALESCE(o.amount, 0)
    FROM credit_grants g LEFT JOIN open o ON o.id = g.id
    WHERE {in:g.organization} AND g.held <> COALESCE(o.amount, 0)
    """),
    ("L5", """
    SELECT organization, 'hold ' || id, 'its status is ' || status || ', its end ' || COALESCE(ended_at::text, 'none')
    FROM holds WHERE {in:organization} AND (status = 'placed') <> (ended_at IS NULL)
    """),
    ("L5", """
    SELECT h.organization, 'hold ' || h.id, 'its receipt is more than its amount' FROM holds h
    WHERE {in:h.organization}
        AND (SELECT COALESCE(sum(amount), 0) FROM unnest(h.grant_amounts) AS part(amount)) > h.amount
    """),
    # What a hold may not pass, nothing but overage, late commits, refunds and clawbacks does; all of these are debt.
    ("L6", """
    SELECT organization, 'account ' || id, 'it owes ' || -posted || ', of which only ' || debt || ' is known as debt'
    FROM accounts WHERE {in:organization} AND kind = 'customer_credit' AND posted < -debt
    """),
    ("L7", """
    WITH left_over AS (SELECT account_id, sum(remaining) AS amount FROM credit_grants WHERE {in:organization}
        GROUP BY account_id)
    SELECT a.organization, 'account ' || a.id, 'it says ' || a.posted || ' posted, its grants less its debt are '
        || COALESCE(r.amount, 0) - a.debt
    FROM accounts a LEFT JOIN left_over r ON r.account_id = a.id
    WHERE {in:a.organization} AND a.kind = 'customer_credit' AND a.posted <> COALESCE(r.amount, 0) - a.debt
    """),
    ("L7", """
    SELECT organization, 'grant ' || id, 'it has more left than was given, or holds more than it has' FROM credit_grants
    WHERE {in:organization} AND (remaining > amount OR held > remaining OR remaining < 0 OR held < 0)
    """),
)  # fmt: skip
# One book for all: only over all organizations does it have to be level.
_CLEARING: Final = """
SELECT p.currency, sum(p.amount) FROM postings p JOIN accounts a ON a.id = p.account_id
WHERE a.kind = 'intercompany_clearing' GROUP BY p.currency HAVING sum(p.amount) <> 0
"""
_CHART: Final = """
SELECT organization, 'account ' || id, 'it is of kind ' || kind || ', live ' || live FROM accounts
WHERE {in:organization} AND (NOT kind = ANY(%(kinds)s) OR live <> (kind = ANY(%(live)s)))
"""


def violations(cur: Cursor, organizations: Iterable[UUID] | None = None) -> list[Violation]:
    """Return everything in the books of these organizations (None: of all) that breaks L1 to L8.

    Reads only. L8 is judged when all organizations are.
    """
    chosen = None if organizations is None else list(organizations)
    given = {"organizations": chosen, "kinds": list(KINDS), "live": sorted(LIVE)}
    found = [
        Violation(invariant, *row)
        for invariant, statement in (*_CHECKS, ("chart", _CHART))
        for row in cur.execute(_narrowed(statement, everyone=chosen is None), given).fetchall()
    ]
    return [*found, *(_clearing(cur) if chosen is None else ())]


def _narrowed(statement: str, *, everyone: bool) -> str:
    before, *parts = statement.split("{in:")
    for part in parts:
        column, _, after = part.partition("}")
        before += ("true" if everyone else f"{column} = ANY(%(organizations)s::uuid[])") + after
    return before


def _clearing(cur: Cursor) -> Iterator[Violation]:
    for currency, amount in cur.execute(_CLEARING).fetchall():
        detail = f"it sums to {amount} {currency} over all organizations"
        yield Violation("L8", None, "intercompany_clearing", detail)

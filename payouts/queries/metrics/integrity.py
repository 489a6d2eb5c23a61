"""What must hold of revenue metrics, worked out by code that their writers do not share.

V1: the movements of a customer up to any month's end sum to its MRR there, as the levels of its sources have it.
V2: ARR is twelve times MRR, and a month's figures lead from its start to its end.
V3: what was earned on a day is what the journal posted on it, to the unit.
V4: what a subscription comes to is what its row comes to now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import psycopg

from billing.queries.plans import versions_of
from billing.queries.subscriptions import subscriptions_of
from billing.rules.months import month_text
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.row import Subscription
from events.store import Cursor
from payouts.projections.metrics import READER
from payouts.queries.metrics.asked import Asked
from payouts.queries.metrics.recurring import Standing, moved_until, standing_at
from payouts.rules.metrics.figures import months_of
from payouts.rules.metrics.levels import subscription_level
from payouts.rules.metrics.normalising import annual
from payouts.rules.metrics.revenue import ACCOUNTS, CLAWED_BACK, CLEARING, FEE, LOST, PARTNERS

# What a customer's sources gained and what its movements say, month by month, each summed up from its first month on.
_M1: Final = """
WITH steps AS (
    SELECT organization, currency, at, mrr - lag(mrr, 1, 0::bigint) OVER (PARTITION BY source ORDER BY at) AS held,
        0 AS moved
    FROM recurring_levels
    UNION ALL SELECT organization, currency, at, 0, amount FROM mrr_movements
), months AS (
    SELECT organization, currency, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month, sum(held) AS held,
        sum(moved) AS moved
    FROM steps GROUP BY 1, 2, 3
), ends AS (
    SELECT organization, currency, month, sum(held) OVER till AS held, sum(moved) OVER till AS moved FROM months
    WINDOW till AS (PARTITION BY organization, currency ORDER BY month)
)
SELECT organization, currency, month, held::text, moved::text FROM ends WHERE held <> moved ORDER BY 1, 2, 3
"""
# One statement, so one moment: the journal without the events that the reader has not read, against what was kept. The
# database compares: what is read here is what differs, however many customers and months there are.
_M3: Final = """
WITH journal AS (
    SELECT p.organization, (e.effective_at AT TIME ZONE 'UTC')::date AS day, p.currency,
        CASE WHEN a.kind = %(fee)s AND e.kind = %(lost)s THEN %(clawed)s ELSE a.kind END AS account,
        sum(p.amount) AS amount
    FROM accounts a JOIN postings p ON p.account_id = a.id JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = ANY(%(accounts)s) AND NOT (a.kind = %(partners)s AND EXISTS (
        SELECT FROM postings q JOIN accounts b ON b.id = q.account_id
        WHERE q.entry_id = p.entry_id AND b.kind = %(clearing)s))
    GROUP BY 1, 2, 3, 4
), unread AS (
    SELECT e.organization,
        (coalesce((n->>'effective_at')::timestamptz, e.occurred_at) AT TIME ZONE 'UTC')::date AS day,
        n->>'currency' AS currency,
        CASE WHEN a.kind = %(fee)s AND n->>'kind' = %(lost)s THEN %(clawed)s ELSE a.kind END AS account,
        -sum((l->>1)::numeric) AS amount
    FROM events e CROSS JOIN json_array_elements(e.data->'ledger'->'entries') n
    CROSS JOIN json_array_elements(n->'lines') l
    JOIN accounts a ON a.id = (l->>0)::uuid
    WHERE e.seq > coalesce((SELECT seq FROM event_cursors WHERE name = %(reader)s), 0) AND a.kind = ANY(%(accounts)s)
        AND NOT (a.kind = %(partners)s AND EXISTS (
            SELECT FROM json_array_elements(n->'lines') m JOIN accounts b ON b.id = (m->>0)::uuid
            WHERE b.kind = %(clearing)s))
    GROUP BY 1, 2, 3, 4
), posted AS (
    SELECT organization, day, currency, account, sum(amount) AS amount
    FROM (SELECT * FROM journal UNION ALL SELECT * FROM unread) x GROUP BY 1, 2, 3, 4
)
SELECT organization, day, currency, account, coalesce(p.amount, 0)::text, coalesce(k.amount, 0)::text
FROM posted p FULL JOIN revenue_days k USING (organization, day, currency, account)
WHERE coalesce(p.amount, 0) <> coalesce(k.amount, 0) ORDER BY 1, 2, 3, 4
"""
# Only where the level is of the row's last version: what the reader has not read yet is judged next time.
_M4: Final = """
SELECT DISTINCT ON (source) source, at, mrr, version FROM recurring_levels
WHERE kind = 'subscription' AND organization = ANY(%s::uuid[]) ORDER BY source, at DESC
"""
_WITH_LEVELS: Final = """
SELECT DISTINCT organization FROM recurring_levels WHERE kind = 'subscription' ORDER BY organization
"""
_CLOCK: Final = "SELECT clock_timestamp(), coalesce((SELECT min(at) FROM mrr_movements), clock_timestamp())"
AT_ONCE: Final = 500
"""Customers whose levels are compared at once."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An identity that does not hold. `organization` None: of all customers together. `subject` names what it is about,
    the same each time."""

    identity: str
    organization: UUID | None
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.identity}: {self.subject} of {self.organization or 'all customers'}: {self.detail}"


def violations(cur: Cursor) -> list[Broken]:
    """Return everything that breaks V1 to V4, as of one moment: in the caller's transaction, or one of its own.

    Reads only; what the reader has not read yet is allowed for.
    """
    connection = cur.connection
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        return _all(cur)
    with connection.transaction():
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return _all(cur)


def _all(cur: Cursor) -> list[Broken]:
    return [*_movements(cur), *_figures(cur), *_revenue(cur), *_rows(cur)]


def _movements(cur: Cursor) -> Iterator[Broken]:
    for organization, currency, month, held, moved in cur.execute(_M1).fetchall():
        detail = f"its sources have {held}, its movements sum to {moved}"
        yield Broken("V1", organization, f"mrr:{currency}:{month_text(month)}", detail)


def _figures(cur: Cursor) -> Iterator[Broken]:
    """Year by year, each read with what was before it: so a year must begin with what the one before ended with."""
    row = cur.execute(_CLOCK).fetchone()
    assert row is not None
    now, first = row
    last: date = now.astimezone(UTC).date().replace(day=1)
    held = {each.currency: each for each in standing_at(cur, Asked(last, last, now))}
    ends: dict[str, tuple[int, int]] = {}
    for year in range(first.astimezone(UTC).year, last.year + 1):
        asked = Asked(date(year, 1, 1), min(date(year, 12, 1), last), now)
        for currency, months in months_of(
            moved_until(cur, asked), first=asked.first, last=asked.last
        ).items():
            for month in months:
                if month.start != ends.get(currency, (0, 0))[0] or month.customers_end < 0:
                    detail = f"it starts with {month.start}"
                    yield Broken("V2", None, f"month:{currency}:{month_text(month.month)}", detail)
                ends[currency] = month.end, month.customers_end
    for currency, (end, customers) in ends.items():
        known = held.get(currency, Standing(currency, 0, 0, 0, 0, 0, 0, 0))
        if (end, annual(end), customers) != (known.mrr, 12 * known.mrr, known.customers):
            detail = f"its movements end at {end}, the levels at {known.mrr}"
            yield Broken("V2", None, f"mrr:{currency}", detail)


def _revenue(cur: Cursor) -> Iterator[Broken]:
    given = {
        "accounts": list(ACCOUNTS), "partners": PARTNERS, "clearing": CLEARING, "reader": READER, "fee": FEE,
        "lost": LOST, "clawed": CLAWED_BACK,
    }  # fmt: skip
    for owner, day, currency, account, posted, kept in cur.execute(_M3, given).fetchall():
        detail = f"the journal has {posted}, the metrics {kept}"
        yield Broken("V3", owner, f"revenue:{account}:{currency}:{day}", detail)


def _rows(cur: Cursor) -> Iterator[Broken]:
    terms: dict[UUID, PlanTerms] = {}
    owners = [row[0] for row in cur.execute(_WITH_LEVELS).fetchall()]
    for start in range(0, len(owners), AT_ONCE):
        some = owners[start : start + AT_ONCE]
        found = cur.execute(_M4, (some,)).fetchall()
        levels = {name: (at, mrr, version) for name, at, mrr, version in found}
        for organization in some:
            rows = [row for row in subscriptions_of(cur, organization=organization) if row.id in levels]
            missing = {row.selection.version for row in rows} - terms.keys()
            terms |= (
                {name: version.terms for name, version in versions_of(cur, missing).items()}
                if missing
                else {}
            )
            yield from _of_rows(organization, rows, levels, terms)


def _of_rows(
    organization: UUID,
    rows: Iterable[Subscription],
    levels: Mapping[UUID, tuple[datetime, int, int]],
    terms: Mapping[UUID, PlanTerms],
) -> Iterator[Broken]:
    for row in rows:
        at, mrr, version = levels[row.id]
        expected = subscription_level(row, terms[row.selection.version], at).mrr
        if version == row.version and mrr != expected:
            yield Broken(
                "V4", organization, f"subscription:{row.id}", f"it comes to {expected}, not to {mrr}"
            )

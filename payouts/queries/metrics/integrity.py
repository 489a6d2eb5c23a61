"""What must hold of revenue metrics, worked out by code that their writers do not share.

V1: the movements of a customer up to any month's end sum to its MRR there, as the levels of its sources have it.
V2: ARR is twelve times MRR, and a month's figures lead from its start to its end.
V3: what was earned in a month is what the journal posted in it, to the unit.
V4: what a subscription comes to is what its row comes to now.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final
from uuid import UUID

import psycopg

from billing.queries.plans import versions_of
from billing.queries.subscriptions import subscriptions_of
from billing.rules.months import month_text
from billing.rules.plans import PlanTerms
from events.store import Cursor
from payouts.projections.metrics import READER, Entry, Place, posted_by
from payouts.queries.metrics.asked import Asked
from payouts.queries.metrics.recurring import moved_until, standing_at
from payouts.rules.metrics.figures import months_of
from payouts.rules.metrics.levels import subscription_level
from payouts.rules.metrics.normalising import annual
from payouts.rules.metrics.revenue import ACCOUNTS, CLAWED_BACK, CLEARING, FEE, LOST, PARTNERS

# Every month's end from a customer's first level to its last one, with what the sources have then.
_M1: Final = """
WITH ends AS (
    SELECT organization, currency, generate_series(
        date_trunc('month', min(at) AT TIME ZONE 'UTC') + interval '1 month',
        date_trunc('month', max(at) AT TIME ZONE 'UTC') + interval '1 month', interval '1 month'
    ) AT TIME ZONE 'UTC' AS at
    FROM recurring_levels GROUP BY 1, 2
), levels AS (
    SELECT source, organization, currency, at, mrr,
        lead(at, 1, 'infinity') OVER (PARTITION BY source ORDER BY at) AS next
    FROM recurring_levels
), held AS (
    SELECT e.organization, e.currency, e.at, coalesce(sum(l.mrr), 0) AS mrr FROM ends e
    LEFT JOIN levels l ON l.organization = e.organization AND l.currency = e.currency AND l.at < e.at AND l.next >= e.at
    GROUP BY 1, 2, 3
), moved AS (
    SELECT e.organization, e.currency, e.at, coalesce(sum(m.amount), 0) AS mrr FROM ends e
    LEFT JOIN mrr_movements m ON m.organization = e.organization AND m.currency = e.currency AND m.at < e.at
    GROUP BY 1, 2, 3
)
SELECT organization, currency, ((at AT TIME ZONE 'UTC') - interval '1 day')::date, h.mrr::text, m.mrr::text
FROM held h JOIN moved m USING (organization, currency, at) WHERE h.mrr <> m.mrr ORDER BY 1, 2, 3
"""
# One statement, so one moment: the journal, what was kept of it, and the events that the reader has not read.
_M3: Final = """
SELECT 'journal', p.organization::text, date_trunc('month', e.effective_at AT TIME ZONE 'UTC')::date, p.currency,
    CASE WHEN a.kind = %(fee)s AND e.kind = %(lost)s THEN %(clawed)s ELSE a.kind END, sum(p.amount)::text
FROM accounts a JOIN postings p ON p.account_id = a.id JOIN journal_entries e ON e.id = p.entry_id
WHERE a.kind = ANY(%(accounts)s) AND NOT (a.kind = %(partners)s AND EXISTS (
    SELECT FROM postings q JOIN accounts b ON b.id = q.account_id
    WHERE q.entry_id = p.entry_id AND b.kind = %(clearing)s))
GROUP BY 2, 3, 4, 5
UNION ALL SELECT 'kept', organization::text, month, currency, account, amount::text FROM revenue_months
UNION ALL SELECT 'unread', organization::text, NULL,
    to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), NULL,
    (data->'ledger'->'entries')::text
FROM events WHERE data->'ledger'->'entries' IS NOT NULL
    AND seq > coalesce((SELECT seq FROM event_cursors WHERE name = %(reader)s), 0)
"""
# Only where the level is of the row's last version: what the reader has not read yet is judged next time.
_M4: Final = """
SELECT DISTINCT ON (source) source, at, mrr, version FROM recurring_levels WHERE kind = 'subscription'
ORDER BY source, at DESC
"""
_WITH_LEVELS: Final = """
SELECT DISTINCT organization FROM recurring_levels WHERE kind = 'subscription' ORDER BY organization
"""
_CLOCK: Final = "SELECT clock_timestamp()"


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
    now = cur.execute(_CLOCK).fetchone()
    assert now is not None
    last: date = now[0].astimezone(UTC).date().replace(day=1)
    asked = Asked(date(1970, 1, 1), last, now[0])
    held = {each.currency: each for each in standing_at(cur, asked)}
    moved = moved_until(cur, asked)
    first = min((one.month for one in moved), default=last)
    for currency, months in months_of(moved, first=first, last=last).items():
        end = 0
        for month in months:
            if month.start != end or month.customers_end < 0:
                yield Broken(
                    "V2", None, f"month:{currency}:{month_text(month.month)}", f"it starts with {month.start}"
                )
            end = month.end
        known = held[currency]
        if (end, annual(end), months[-1].customers_end) != (known.mrr, 12 * known.mrr, known.customers):
            detail = f"its movements end at {end}, the levels at {known.mrr}"
            yield Broken("V2", None, f"mrr:{currency}", detail)


def _revenue(cur: Cursor) -> Iterator[Broken]:
    journal: dict[Place, int] = defaultdict(int)
    kept: dict[Place, int] = {}
    unread: list[Entry] = []
    given = {
        "accounts": list(ACCOUNTS), "partners": PARTNERS, "clearing": CLEARING, "reader": READER, "fee": FEE,
        "lost": LOST, "clawed": CLAWED_BACK,
    }  # fmt: skip
    for side, organization, month, *rest in cur.execute(_M3, given).fetchall():
        if side == "unread":
            unread += [(organization, rest[0], one) for one in json.loads(rest[2])]
        else:
            found = journal if side == "journal" else kept
            found[organization, month, rest[0], rest[1]] = int(rest[2])
    for place, units in posted_by(cur, unread).items():
        journal[place] -= units
    for place in sorted({*journal, *kept}):
        if journal.get(place, 0) != kept.get(place, 0):
            owner, month, currency, account = place
            detail = f"the journal has {journal.get(place, 0)}, the metrics {kept.get(place, 0)}"
            yield Broken("V3", UUID(owner), f"revenue:{account}:{currency}:{month_text(month)}", detail)


def _rows(cur: Cursor) -> Iterator[Broken]:
    levels = {name: (at, mrr, version) for name, at, mrr, version in cur.execute(_M4).fetchall()}
    terms: dict[UUID, PlanTerms] = {}
    for (organization,) in cur.execute(_WITH_LEVELS).fetchall():
        rows = [row for row in subscriptions_of(cur, organization=organization) if row.id in levels]
        missing = {row.selection.version for row in rows} - terms.keys()
        terms |= {name: version.terms for name, version in versions_of(cur, missing).items()}
        for row in rows:
            at, mrr, version = levels[row.id]
            expected = subscription_level(row, terms[row.selection.version], at).mrr
            if version == row.version and mrr != expected:
                yield Broken(
                    "V4", organization, f"subscription:{row.id}", f"it comes to {expected}, not to {mrr}"
                )

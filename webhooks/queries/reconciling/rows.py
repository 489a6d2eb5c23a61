"""The processor's balance transactions beside the books: which nothing explains, and whose sums differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.views import BalanceView
from common.errors import NotFound
from events.store import Cursor
from webhooks.rules.reconciling.items import Item

_ROW: Final = """
r.id, r.amount, r.fee, r.net, r.currency, r.type, r.category, 'available', r.source, r.created, r.created
"""
_EXPLAINED: Final = """
(EXISTS (SELECT FROM payments p WHERE p.charge = r.source) OR EXISTS (SELECT FROM refunds f WHERE f.id = r.source)
    OR EXISTS (SELECT FROM disputes d WHERE d.id = r.source)
    OR EXISTS (SELECT FROM processor_payouts o WHERE o.payout = r.source))
"""
_UNPLACED: Final = f"""
SELECT {_ROW} FROM processor_balance_rows r
WHERE r.created < %(until)s AND (r.created >= %(since)s OR r.run = %(run)s)
    AND NOT EXISTS (SELECT FROM processor_items i WHERE i.balance_transaction = r.id) AND NOT {_EXPLAINED}
    AND r.id > %(after)s
ORDER BY r.id LIMIT %(limit)s
"""
_NAMES: Final = tuple(field.name for field in fields(Item))
_ITEM: Final = "SELECT " + ", ".join(f"i.{name}" for name in _NAMES) + " FROM processor_items i"
# What was in suspense and is explained by now: its object is known here. Of a mirrored invoice's charge the fee stands
# here until its payment is told, which books it.
_RELEASED: Final = f"""
{_ITEM} JOIN processor_balance_rows r ON r.id = i.balance_transaction
WHERE (i.status IN ('suspense', 'foreign') OR i.status = 'booked' AND i.booked_to = 'mirrored_invoice')
    AND {_EXPLAINED} ORDER BY i.id
"""
# Money that went back of payments that are known here by now: their objects were told of before.
_RETURNS: Final = f"""
SELECT DISTINCT r.source, split_part(i.category, '_', 1) FROM processor_items i
    JOIN processor_balance_rows r ON r.id = i.balance_transaction
WHERE i.status IN ('suspense', 'foreign') AND r.source IS NOT NULL AND NOT {_EXPLAINED}
    AND i.category IN ('refund', 'refund_failure', 'dispute', 'dispute_reversal') AND (
        EXISTS (SELECT FROM payments p WHERE starts_with(i.subject, 'payment_intent:')
            AND p.intent = split_part(i.subject, ':', 2))
        OR EXISTS (SELECT FROM payments p WHERE starts_with(i.subject, 'charge:')
            AND p.charge = split_part(i.subject, ':', 2)))
ORDER BY 1
"""
_SOURCES: Final = f"""
{_ITEM.replace(" FROM ", ", r.source FROM ")} JOIN processor_balance_rows r ON r.id = i.balance_transaction
WHERE i.status IN ('suspense', 'foreign') AND r.source IS NOT NULL AND NOT {_EXPLAINED} ORDER BY i.id
"""
_ITEMS: Final = f"""
{_ITEM} WHERE (%(status)s::text IS NULL OR i.status = %(status)s)
    AND (%(subject)s::text IS NULL OR i.subject = %(subject)s)
    AND (%(before)s::uuid IS NULL OR i.id < %(before)s)
ORDER BY i.id DESC LIMIT %(limit)s
"""
_SUSPENSE: Final = """
SELECT subject, currency, sum(amount)::bigint, array_agg(DISTINCT category),
    array_agg(balance_transaction ORDER BY created_at, id),
    min(created_at)
FROM processor_items WHERE status = 'suspense' GROUP BY subject, currency ORDER BY subject, currency
"""
_MARKED: Final = "SELECT EXISTS (SELECT FROM processor_items WHERE subject = %s AND status = 'foreign')"
# Every balance transaction of the payments that something of moved in the window, against what the books have of them.
_SUMS: Final = """
WITH touched AS (
    SELECT p.id FROM processor_balance_rows r JOIN payments p ON p.charge = r.source
        WHERE r.created >= %(since)s AND r.created < %(until)s
    UNION SELECT f.payment_id FROM processor_balance_rows r JOIN refunds f ON f.id = r.source
        WHERE r.created >= %(since)s AND r.created < %(until)s
    UNION SELECT d.payment_id FROM processor_balance_rows r JOIN disputes d ON d.id = r.source
        WHERE r.created >= %(since)s AND r.created < %(until)s
), moved AS (
    SELECT t.id, b.net, b.currency, b.created FROM touched t JOIN payments p ON p.id = t.id
        JOIN processor_balance_rows b ON b.source = p.charge
    UNION ALL SELECT t.id, b.net, b.currency, b.created FROM touched t JOIN refunds f ON f.payment_id = t.id
        JOIN processor_balance_rows b ON b.source = f.id
    UNION ALL SELECT t.id, b.net, b.currency, b.created FROM touched t JOIN disputes d ON d.payment_id = t.id
        JOIN processor_balance_rows b ON b.source = d.id
)
SELECT p.id, p.organization, p.intent, p.currency, sum(m.net)::bigint, p.received - p.refunded - p.disputed - p.fee
FROM moved m JOIN payments p ON p.id = m.id WHERE p.status NOT IN ('requested', 'requires_action', 'processing')
GROUP BY p.id HAVING bool_and(m.currency = p.currency) AND max(m.created) < %(until)s
    AND sum(m.net) <> p.received - p.refunded - p.disputed - p.fee
ORDER BY p.id
"""
_COUNT_SUMS: Final = "SELECT count(*) FROM processor_balance_rows WHERE created >= %s AND created < %s"
_OF_PAYMENT: Final = """
SELECT p.intent, p.received - p.refunded - p.disputed - p.fee, coalesce((
    SELECT sum(b.net) FROM processor_balance_rows b WHERE b.source = p.charge
        OR b.source IN (SELECT id FROM refunds WHERE payment_id = p.id)
        OR b.source IN (SELECT id FROM disputes WHERE payment_id = p.id)), 0)::bigint
FROM payments p WHERE p.id = %s
"""
# What stands on processor_clearing and is neither a payment's, a payout's, a mirrored invoice's nor an item's.
_OTHER: Final = """
SELECT p.organization, e.id, e.kind, p.currency, -p.amount FROM postings p JOIN accounts a ON a.id = p.account_id
    JOIN journal_entries e ON e.id = p.entry_id
WHERE a.kind = 'processor_clearing' AND NOT (e.kind = ANY(%s))
    AND NOT (e.kind = 'grant' AND EXISTS (SELECT FROM mirrored_invoices m WHERE 'grant:' || m.grant_id = e.source))
ORDER BY e.id LIMIT 1000
"""
# What the books hold above the rows, without what is told apart: payments whose rows sum to something else, and entries
# without anything behind them. Rows that nothing explains yet are on their way. One statement sees one moment.
_SURPLUS: Final = f"""
WITH held AS (
    SELECT p.currency, -sum(p.amount) AS amount FROM postings p JOIN accounts a ON a.id = p.account_id
        JOIN journal_entries e ON e.id = p.entry_id
    WHERE a.kind = 'processor_clearing' AND (e.kind = ANY(%(kinds)s) OR e.kind = 'grant'
        AND EXISTS (SELECT FROM mirrored_invoices m WHERE 'grant:' || m.grant_id = e.source))
    GROUP BY p.currency
), read AS (
    SELECT r.currency, -sum(r.net) FROM processor_balance_rows r
    WHERE r.created < %(since)s OR r.source = ANY(%(known)s) OR {_EXPLAINED}
        OR EXISTS (SELECT FROM processor_items i WHERE i.balance_transaction = r.id)
    GROUP BY r.currency
), theirs AS (
    SELECT b.currency, sum(b.net) FROM processor_balance_rows b
    WHERE EXISTS (SELECT FROM payments p WHERE p.charge = b.source)
        OR EXISTS (SELECT FROM refunds f WHERE f.id = b.source)
        OR EXISTS (SELECT FROM disputes d WHERE d.id = b.source)
    GROUP BY b.currency
), mirrored AS (
    SELECT currency, sum(amount) FROM processor_items WHERE booked_to = 'mirrored_invoice' AND status = 'booked'
    GROUP BY currency
), ours AS (
    SELECT currency, -sum(received - refunded - disputed - fee) FROM payments GROUP BY currency
), every AS (
    TABLE held UNION ALL TABLE read UNION ALL TABLE theirs UNION ALL TABLE mirrored UNION ALL TABLE ours
)
SELECT currency, sum(amount)::bigint FROM every GROUP BY currency HAVING sum(amount) <> 0 ORDER BY currency
"""
_YOUNG_SOURCES: Final = f"""
SELECT DISTINCT r.source FROM processor_balance_rows r WHERE r.created >= %s AND r.source IS NOT NULL
    AND NOT EXISTS (SELECT FROM processor_items i WHERE i.balance_transaction = r.id) AND NOT {_EXPLAINED}
"""
_HELD: Final = """
SELECT p.currency, -sum(p.amount)::bigint FROM postings p JOIN accounts a ON a.id = p.account_id
WHERE a.kind = 'processor_clearing' GROUP BY p.currency
"""
_NET: Final = "SELECT currency, sum(net)::bigint FROM processor_balance_rows GROUP BY currency"
_YOUNG: Final = """
SELECT net FROM processor_balance_rows WHERE currency = %s AND created >= %s ORDER BY created DESC, id DESC
"""


@dataclass(frozen=True, slots=True)
class Sum:
    """A payment whose balance transactions do not sum to what the books have: units."""

    payment: UUID
    organization: UUID
    intent: str | None
    currency: str
    theirs: int
    ours: int


@dataclass(frozen=True, slots=True)
class InSuspense:
    """What stands in suspense about one subject, in units."""

    subject: str
    currency: str
    amount: int
    categories: Sequence[str]
    rows: Sequence[str]
    since: datetime


def newest_row(cur: Cursor) -> datetime | None:
    """Return when the newest balance transaction that was read was made."""
    row = cur.execute("SELECT max(created) FROM processor_balance_rows").fetchone()
    return None if row is None else row[0]


def rows_of_run(cur: Cursor, run: UUID) -> list[tuple[str, int, int]]:
    """Return what a run has read for the first time: currency, how many, and their net in units."""
    statement = (
        "SELECT currency, count(*), sum(net)::bigint FROM processor_balance_rows WHERE run = %s GROUP BY currency"
        " ORDER BY currency"
    )
    return cur.execute(statement, (run,)).fetchall()


def placed_since(cur: Cursor, since: datetime) -> tuple[int, int]:
    """Return how many balance transactions were placed in the books since then, and how many left suspense."""
    statement = (
        "SELECT count(*) FILTER (WHERE booked_at >= %(since)s),"
        " count(*) FILTER (WHERE status = 'released' AND ended_at >= %(since)s) FROM processor_items"
    )
    row = cur.execute(statement, {"since": since}).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def unplaced(
    cur: Cursor, *, run: UUID, since: datetime, until: datetime, after: str, limit: int
) -> list[BalanceView]:
    """Return balance transactions that no object of ours explains and that are not in the books, by id."""
    given = {"run": run, "since": since, "until": until, "after": after, "limit": limit}
    return [BalanceView(*row) for row in cur.execute(_UNPLACED, given).fetchall()]


def explained_items(cur: Cursor) -> list[Item]:
    """Return what stands in suspense, of whatever status, although an object of ours explains it by now."""
    return [Item(**dict(zip(_NAMES, row, strict=True))) for row in cur.execute(_RELEASED).fetchall()]


def returns_of_known_payments(cur: Cursor) -> list[tuple[str, str]]:
    """Return refunds and disputes whose money stands in suspense although their payment is known here: id there, and
    kind."""
    return [(row[0], row[1]) for row in cur.execute(_RETURNS).fetchall()]


def items_with_sources(cur: Cursor) -> list[tuple[Item, str]]:
    """Return what stands in suspense and no object of payments explains, each with the id of its object there."""
    found = cur.execute(_SOURCES).fetchall()
    return [(Item(**dict(zip(_NAMES, row[:-1], strict=True))), row[-1]) for row in found]


def charges_in_suspense(cur: Cursor) -> list[Item]:
    """Return the charges of payments that stand in suspense."""
    where = "WHERE i.status = 'suspense' AND i.category = 'charge' AND i.subject LIKE 'payment_intent:%' ORDER BY i.id"
    return [Item(**dict(zip(_NAMES, row, strict=True))) for row in cur.execute(f"{_ITEM} {where}").fetchall()]


def find_item(cur: Cursor, item: UUID) -> Item:
    """Return one item. Raises NotFound."""
    row = cur.execute(f"{_ITEM} WHERE i.id = %s", (item,)).fetchone()
    if row is None:
        raise NotFound("There is no such item.")
    return Item(**dict(zip(_NAMES, row, strict=True)))


def charge_of(cur: Cursor, row: str) -> str | None:
    """Return the charge that a balance transaction is of; None: it has no object."""
    found = cur.execute("SELECT source FROM processor_balance_rows WHERE id = %s", (row,)).fetchone()
    return None if found is None else found[0]


def list_items(
    cur: Cursor, *, status: str | None, subject: str | None, before: UUID | None, limit: int
) -> list[Item]:
    """Return items, by id from the last on."""
    given = {"status": status, "subject": subject, "before": before, "limit": limit}
    return [Item(**dict(zip(_NAMES, row, strict=True))) for row in cur.execute(_ITEMS, given).fetchall()]


def is_booked(cur: Cursor, row: str) -> bool:
    """Whether a balance transaction is an item already."""
    statement = "SELECT EXISTS (SELECT FROM processor_items WHERE balance_transaction = %s)"
    return cur.execute(statement, (row,)).fetchone() == (True,)


def is_marked_foreign(cur: Cursor, subject: str) -> bool:
    """Whether finance said that what this is about is not ours."""
    return cur.execute(_MARKED, (subject,)).fetchone() == (True,)


def is_assigned(cur: Cursor, subjects: Sequence[str]) -> bool:
    """Whether finance gave a charge of one of these subjects to an organization."""
    statement = (
        "SELECT EXISTS (SELECT FROM processor_items WHERE subject = ANY(%s) AND category = 'charge'"
        " AND status = 'assigned')"
    )
    return cur.execute(statement, (list(subjects),)).fetchone() == (True,)


def in_suspense(cur: Cursor) -> list[InSuspense]:
    """Return what stands in suspense, by what it is about."""
    return [InSuspense(*row) for row in cur.execute(_SUSPENSE).fetchall()]


def sums_that_differ(cur: Cursor, *, since: datetime, until: datetime) -> list[Sum]:
    """Return payments whose balance transactions do not sum to what the books have of them."""
    return [Sum(*row) for row in cur.execute(_SUMS, {"since": since, "until": until}).fetchall()]


def sum_of_payment(cur: Cursor, payment: UUID) -> tuple[str | None, int, int] | None:
    """Return a payment's intent, what the books have of it, and what its balance transactions sum to."""
    row: Any = cur.execute(_OF_PAYMENT, (payment,)).fetchone()
    return None if row is None else (row[0], int(row[1]), int(row[2]))


def rows_between(cur: Cursor, since: datetime, until: datetime) -> int:
    """Return how many balance transactions were made in [since, until)."""
    row = cur.execute(_COUNT_SUMS, (since, until)).fetchone()
    return 0 if row is None else int(row[0])


def unexplained_entries(cur: Cursor, kinds: Sequence[str]) -> list[tuple[UUID, UUID, str, str, int]]:
    """Return entries on processor_clearing that nothing at the processor stands behind: organization, entry, kind,
    currency, units held by it."""
    return [tuple(row) for row in cur.execute(_OTHER, (list(kinds),)).fetchall()]


def young_sources(cur: Cursor, since: datetime) -> list[str]:
    """Return the objects of rows since then that no object of payments explains and that are no items."""
    return [row[0] for row in cur.execute(_YOUNG_SOURCES, (since,)).fetchall()]


def surplus(cur: Cursor, *, kinds: Sequence[str], since: datetime, known: Collection[str]) -> dict[str, int]:
    """Return by currency how much more (units) the books hold than the rows and what is told apart explain.

    `known`: objects of rows since then that are in the books of another app; rows since then that are neither theirs
    nor explained are on their way.
    """
    given = {"kinds": list(kinds), "since": since, "known": list(known)}
    return dict(cur.execute(_SURPLUS, given).fetchall())


def held_by_books(cur: Cursor) -> dict[str, int]:
    """Return what the processor holds by the books of all organizations, in units by currency."""
    return dict(cur.execute(_HELD).fetchall())


def net_of_rows(cur: Cursor) -> dict[str, int]:
    """Return the sum of all balance transactions that were read, in units by currency."""
    return dict(cur.execute(_NET).fetchall())


def young_nets(cur: Cursor, currency: str, *, since: datetime) -> list[int]:
    """Return the nets of the balance transactions since then, newest first."""
    return [row[0] for row in cur.execute(_YOUNG, (currency, since)).fetchall()]

"""What was billed of metered periods: the last cut that told of each, and lines that a void invoice left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.queries.invoices import LINE_SELECT, LineRow, read_line
from billing.queries.subscriptions import METERED_COLUMNS, MeteredRow
from billing.rules.cuts import Cut
from billing.rules.invoices import treatment_of
from billing.rules.meteredlines import Counted, Tally
from billing.rules.tax import TaxPending, Treatment
from events.store import Cursor

# What is billed again after a void invoice is the line as it was: it was charged once.
_LEFT_BEHIND: Final = f"""
SELECT DISTINCT ON (l.detail->>'charge_id') {LINE_SELECT} FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
WHERE l.organization = %(organization)s AND l.kind = 'metered' AND i.status = 'void' AND NOT EXISTS (
    SELECT FROM invoice_lines o JOIN invoices j ON j.id = o.invoice_id
    WHERE o.organization = l.organization AND o.kind = 'metered' AND j.status <> 'void'
        AND o.detail->>'period' = l.detail->>'period' AND o.detail->>'charge_id' = l.detail->>'charge_id')
ORDER BY l.detail->>'charge_id', l.invoice_id
"""
_BILLED: Final = f"""
SELECT {METERED_COLUMNS}, n.lines, n.cut, n.groups, n.earlier
FROM metered_periods p CROSS JOIN LATERAL (
    SELECT count(DISTINCT l.detail->>'charge_id') AS lines,
        (array_agg((l.detail->'cut')::text ORDER BY l.detail->'cut'->>'taken_at' DESC))[1] AS cut,
        (array_agg((l.detail->'groups')::text ORDER BY l.detail->'cut'->>'taken_at' DESC))[1] AS groups,
        (array_agg((l.detail->'earlier')::text ORDER BY l.detail->'cut'->>'taken_at' DESC))[1] AS earlier
    FROM invoice_lines l WHERE l.organization = p.organization AND l.kind = 'metered'
        AND l.detail->>'period' = p.id::text
) n
WHERE p.organization = %s AND p.invoice_id IS NOT NULL AND p.end_at >= %s AND n.lines > 0 ORDER BY p.end_at, p.id
"""
# Of a line that was billed again after a void invoice the living one. What a credit note took back is not to pay.
_OF_PERIODS: Final = """
SELECT DISTINCT ON (l.detail->>'charge_id') l.detail->>'charge_id', l.invoice_id, l.n, l.amount, l.net, l.detail::text,
    COALESCE((SELECT sum((p->>'net')::bigint) FROM credit_notes n, jsonb_array_elements(n.lines) p
        WHERE n.invoice_id = l.invoice_id AND (p->>'line')::integer = l.n), 0)
FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
WHERE l.organization = %s AND l.kind = 'metered' AND l.detail->>'period' = ANY(%s)
ORDER BY l.detail->>'charge_id', i.status = 'void', l.invoice_id DESC
"""

_TREATMENTS: Final = """
SELECT l.treatment::text FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
WHERE l.organization = %(organization)s AND l.kind = 'metered' AND i.status <> 'void'
    AND l.detail->>'period' = ANY(%(periods)s) AND l.detail->>'charge_id' = ANY(%(charges)s)
    AND l.invoice_id IS DISTINCT FROM %(but)s::uuid
"""


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line that billed something of a period: its charge and place, what it has to pay after coupons and credit
    notes, or gives `back` (units), and its detail."""

    charge: str
    invoice: UUID
    n: int
    net: int
    back: int
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BilledPeriod:
    """A metered period that invoices told of: in how many lines, by which cut last, and what it knew by group."""

    row: MeteredRow
    lines: int
    cut: Cut
    tally: Tally


def lines_left_behind(cur: Cursor, organization: UUID) -> list[LineRow]:
    """Return the metered lines of void invoices that are on no living one."""
    found = cur.execute(_LEFT_BEHIND, {"organization": organization}).fetchall()
    return [read_line(row) for row in found]


def billed_periods(cur: Cursor, organization: UUID, *, since: datetime) -> list[BilledPeriod]:
    """Return the metered periods that ended since a moment and were billed."""
    return [_billed(row) for row in cur.execute(_BILLED, (organization, since)).fetchall()]


def lines_of_periods(cur: Cursor, organization: UUID, periods: Sequence[UUID]) -> list[BilledLine]:
    """Return what was billed of metered periods, each charge once, oldest first."""
    rows = cur.execute(_OF_PERIODS, (organization, [str(one) for one in periods])).fetchall()
    found = [_billed_line(*row) for row in rows]
    return sorted(found, key=lambda one: (one.detail["cut"]["taken_at"], *_charge_order(one.charge)))


def treatment_of_charges(
    cur: Cursor, organization: UUID, charges: Sequence[str], *, but: UUID | None = None
) -> Treatment | TaxPending | None:
    """Return how the living lines of these charges, `but` on one invoice, are taxed: of several treatments that of the
    lowest rate, so that no tax comes back that was not charged. None where no line lives."""
    if not charges:
        return None
    periods = [charge.rpartition(":")[0] for charge in charges]
    given = {"organization": organization, "periods": periods, "charges": list(charges), "but": but}
    rows = [row[0] for row in cur.execute(_TREATMENTS, given).fetchall()]
    if None in rows:
        return TaxPending("")
    found = [treatment_of(json.loads(row)) for row in rows]
    return min(found, key=lambda one: one.rate, default=None)


def _billed_line(
    charge: str, invoice: UUID, n: int, amount: int, net: int, detail: str, noted: Decimal
) -> BilledLine:
    left = net - int(noted)
    pays, gives = (max(left, 0), 0) if amount > 0 else (0, max(-left, 0))
    return BilledLine(charge, invoice, n, pays, gives, json.loads(detail))


def _charge_order(charge: str) -> tuple[str, int]:
    period, _, number = charge.rpartition(":")
    return period, int(number)


def _billed(row: tuple[Any, ...]) -> BilledPeriod:
    lines, cut, groups, earlier = row[-4:]
    tally = Tally(*(tuple(map(_counted, json.loads(part or "[]"))) for part in (groups, earlier)))
    return BilledPeriod(MeteredRow(*row[:-4]), int(lines), Cut.read(json.loads(cut)), tally)


def _counted(data: Mapping[str, Any]) -> Counted:
    by: Mapping[str, str | None] = data["by"]
    return Counted(tuple(by.values()), Fraction(data["quantity"]), data["records"], data["digest"])

"""What was used within the windows of a commitment, and what their grants have left: what a settlement must know."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.queries.takenback import back_within, returned_to, use_back
from billing.rules.contracts.decision import Left, Units, WindowUse
from billing.rules.contracts.row import Window
from billing.rules.usagelines import POSTPAID
from events.store import Cursor
from ledger.queries.balances import find_grants
from spend.queries.periods import recorded_since
from spend.rules.charging import METERED

_QUANTITY: Final = {
    "tokens": "x.input_tokens + x.output_tokens",
    "calls": "1",
    "tool_calls": "x.tool_calls",
}
# Whole records are counted by the sum; only those that one commitment ends within are taken apart.
_USE: Final = """
SELECT COALESCE(CASE WHEN x.model IS NULL THEN NULL ELSE concat_ws('/', x.provider, x.model) END, x.tool, x.kind, ''),
    sum(f.line), sum(f.own), COALESCE(sum({quantity}) FILTER (WHERE f.line = x.charge AND x.charge > 0), 0),
    COALESCE(json_agg(json_build_array({quantity}, f.line, x.charge)) FILTER (WHERE f.line > 0 AND f.line < x.charge),
        '[]')::text
FROM usage_records x CROSS JOIN LATERAL (
    SELECT COALESCE(sum((p->>2)::bigint) FILTER (WHERE p->>0 = 'postpaid'), 0) AS line,
        COALESCE(sum((p->>2)::bigint) FILTER (WHERE p->>0 IN ('credit', 'debt')), 0) AS own
    FROM json_array_elements(x.funding) AS p) f
WHERE x.organization = %(organization)s AND x.occurred_at >= %(start)s AND x.occurred_at < %(end)s
    AND x.id >= %(first_id)s AND x.recorded_at >= %(recorded)s
GROUP BY 1 ORDER BY 1
"""
_SINCE: Final = """
SELECT COALESCE(sum((p->>2)::bigint), 0) FROM usage_records x, json_array_elements(x.funding) AS p
WHERE x.organization = %(organization)s AND x.occurred_at >= %(start)s AND x.id >= %(first_id)s
    AND x.recorded_at >= %(recorded)s AND p->>1 = ANY(%(grants)s)
"""


def left_of(cur: Cursor, *, organization: UUID, windows: Iterable[Window]) -> dict[UUID, Left]:
    """Return what the grants of these windows have left and held."""
    names = [grant for window in windows for grant, _ in window.grants]
    found = find_grants(cur, organization=organization, grants=names) if names else []
    return {row.grant.id: Left(row.grant.remaining, row.grant.held) for row in found}


def use_of(cur: Cursor, *, organization: UUID, start: datetime, end: datetime, unit: str) -> WindowUse:
    """Return what was used in [start, end) besides what grants paid for; late records as far as they are there, less
    metered use that was taken back.

    `unit` is what a rate of overage counts: tokens, calls or tool_calls.
    """
    values = _values(cur, organization, start) | {"end": end}
    rows = cur.execute(_USE.format(quantity=_QUANTITY[unit]), values).fetchall()
    exceeding = tuple(_units(row) for row in rows if row[1])
    line, own = (sum(int(row[place]) for row in rows) for place in (1, 2))
    back = back_within(use_back(cur, organization), start, end)
    return WindowUse(
        line=line - back[POSTPAID],
        own=own - back["credit"] - back["debt"],
        exceeding=tuple(_less(one, back[POSTPAID]) for one in exceeding),
    )


def drawn_since(cur: Cursor, *, organization: UUID, grants: Sequence[UUID], since: datetime) -> int:
    """Return what usage from a moment on drew from these grants, in units."""
    values = _values(cur, organization, since) | {"grants": [str(grant) for grant in grants]}
    row = cur.execute(_SINCE, values).fetchone()
    returned = returned_to(one for one in use_back(cur, organization) if one.end > since)
    return (0 if row is None else int(row[0])) - sum(returned[grant] for grant in grants)


def _values(cur: Cursor, organization: UUID, start: datetime) -> dict[str, Any]:
    recorded = recorded_since(cur, organization, start)
    return {
        "organization": organization,
        "start": start,
        "recorded": recorded.at,
        "first_id": recorded.first_id,
    }


def _less(one: Units, back: int) -> Units:
    """What metered charges exceed a commitment by is less by what was taken back of them."""
    if one.name != METERED or not back:
        return one
    kept = max(one.amount - back, 0)
    return Units(one.name, one.quantity * Fraction(kept, one.amount), kept)


def _units(row: tuple[Any, ...]) -> Units:
    name, line, _, whole, partial = row
    quantity = Fraction(int(whole))
    for counted, part, charge in json.loads(partial):
        quantity += Fraction(counted * part, charge)
    return Units(name, quantity, int(line))

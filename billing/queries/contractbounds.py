"""How much money comes back of use within a window that is settled: it stays paid for up to what was committed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing.queries.contracts import find_contract
from billing.queries.contractuse import use_of
from billing.queries.takenback import UseBack, use_back
from billing.rules.contracts.row import Window
from billing.rules.contracts.settling import WindowNow, bound_of_window
from billing.rules.contracts.writing import read_window
from billing.rules.takingback import COMMITMENT, NOTHING_COMMITTED, Bound
from events.store import Cursor

_TICK: Final = timedelta(microseconds=1)
_SETTLED: Final = """
SELECT w.contract, row_to_json(w)::text FROM contract_windows w
WHERE w.organization = %(organization)s AND w.status = 'settled' AND w.start_at <= %(at)s AND %(at)s < w.end_at
ORDER BY w.contract, w.number LIMIT 1
"""
_NOTED: Final = """
SELECT COALESCE(sum((p->>'net')::bigint), 0) FROM invoice_lines l JOIN credit_notes n ON n.invoice_id = l.invoice_id,
    jsonb_array_elements(n.lines) p
WHERE l.organization = %s AND l.contract = %s AND l.service_start = %s
    AND l.kind IN ('commitment', 'true_up', 'minimum') AND (p->>'line')::integer = l.n
"""


def money_bound(cur: Cursor, *, organization: UUID, end: datetime) -> Bound:
    """Return how much money at most comes back of what is taken back now of use of a period until `end`.

    While its window is not settled that is what was paid beside the commitment, for the settlement sees to the rest.
    """
    values = {"organization": organization, "at": end - _TICK}
    row = cur.execute(_SETTLED, values).fetchone()
    if row is None:
        return NOTHING_COMMITTED
    contract, window = row[0], read_window(json.loads(row[1]))
    commitment = find_contract(cur, organization=organization, contract=contract).terms.commitment
    assert commitment is not None  # it has a window
    use = use_of(
        cur, organization=organization, start=window.start, end=window.end, unit=commitment.overage_unit
    )
    (noted,) = cur.execute(_NOTED, (organization, contract, window.start)).fetchone() or (0,)
    gone = _gone(window, use_back(cur, organization))
    return bound_of_window(commitment, window, WindowNow(use.line, use.own, gone, int(noted)))


def _gone(window: Window, back: Iterable[UseBack]) -> int:
    """What was taken back of a window's grants since it was settled: nothing returned to them."""
    grants = {grant for grant, _ in window.grants}
    parts = ((source, grant, units) for one in back for source, grant, units in one.parts)
    taken = sum(units for source, grant, units in parts if source == COMMITMENT and grant in grants)
    return taken - sum(one.returned[grant] for one in back for grant in grants)

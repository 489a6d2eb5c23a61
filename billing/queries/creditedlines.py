"""What of an invoice's lines came back by other lines already: no credit note gives that back once more."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from billing.queries.committeduse import window_lines
from billing.queries.invoices import LineRow
from billing.queries.items import credited_by_items
from billing.queries.ratedlines import lines_of_periods
from billing.queries.tallying import counted_together
from billing.rules.contracts.lines import KIND
from billing.rules.creditnotes import Place, covered
from billing.rules.invoices import Invoice
from billing.rules.meteredlines import METERED
from events.store import Cursor


def credited_lines(cur: Cursor, found: Invoice, lines: Sequence[LineRow], *, whole: bool) -> dict[int, int]:
    """Return what other lines and items took back of an invoice's lines, in net units by the number: unused fees,
    metered use that turned out not to be, and what of a commitment was not drawn after all.

    What the invoice itself takes back is left out where it is credited as a `whole`: there it comes with the lines.
    """
    but = found.id if whole else None
    taken = credited_by_items(cur, found.id)
    places = _metered(cur, found, lines, but) | _committed(cur, found, lines, but)
    return taken | {number: units for (invoice, number), units in places.items() if invoice == found.id}


def _metered(cur: Cursor, found: Invoice, lines: Sequence[LineRow], but: UUID | None) -> dict[Place, int]:
    places: dict[Place, int] = {}
    seen: set[UUID] = set()
    for period in (UUID(line.detail["period"]) for line in lines if line.kind == METERED):
        if period in seen:
            continue
        together = counted_together(cur, period, found.currency)
        seen.update(together)
        billed = lines_of_periods(cur, found.organization, together)[::-1]
        back = sum(one.back for one in billed if one.invoice != but)
        places |= covered(back, (((one.invoice, one.n), one.net) for one in billed))
    return places


def _committed(cur: Cursor, found: Invoice, lines: Sequence[LineRow], but: UUID | None) -> dict[Place, int]:
    places: dict[Place, int] = {}
    drawn = {
        (line.contract, line.detail["window"]) for line in lines if line.kind == KIND and not line.item_id
    }
    for contract, window in drawn:
        assert contract is not None  # a commitment is a contract's
        billed = window_lines(cur, organization=found.organization, contract=contract, window=window)
        back = sum(max(-one.left, 0) for one in billed if one.invoice != but)
        places |= covered(back, (((one.invoice, one.n), one.left) for one in billed))
    return places

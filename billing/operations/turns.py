"""What of a customer's billing comes next, for the run that does it and for the preview that only looks.

What was agreed moves on at its turns; boundaries make invoices. A turn that is not after a boundary is passed first: it
may make the customer owe something at that boundary.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from billing.operations.boundaries import advance
from billing.operations.closing import end_agreements_at
from billing.operations.invoices.drafting import Boundary
from billing.queries.standing import Dues, Standing, dated_ahead, dues_of, unbilled_of, unended_since
from billing.rules.progressive import THRESHOLD
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization


def next_turn(cur: Cursor, locked: LockedOrganization, dues: Dues) -> datetime | None:
    """Return when what was agreed moves on: by its own dates, but not beyond the closing of its organization."""
    closed_at = None if locked.status == "active" else unended_since(cur, locked.id)
    return dues.turn if closed_at is None else min(closed_at, dues.turn or closed_at)


def pass_turn(cur: Cursor, locked: LockedOrganization, *, until: datetime, author: Author) -> None:
    """This function will move what was agreed over its boundaries up to a turn, or end it where its organization was
    closed by then. The caller holds the lock. Raises what `advance` raises."""
    closed_at = None if locked.status == "active" else unended_since(cur, locked.id)
    if closed_at is None or until < closed_at:
        advance(cur, locked, until=until, author=author)
    else:
        end_agreements_at(cur, locked, at=closed_at, author=author)


def next_boundary(cur: Cursor, locked: LockedOrganization, dues: Dues, limit: datetime) -> Boundary | None:
    """Return the next moment up to a limit that makes an invoice, without its cut. That of an item is when it is due,
    of metered use the end of its period, but never before a boundary that has passed. Where a change of plan ends a
    period of progressive billing its invoice bills the use until then, too."""
    standing = dues.standing
    ends_at = standing.progress.ends_at
    given: dict[str, Any] = {"standing": standing, "currency": locked.currency}
    dated = (dues.item, dues.metered, ends_at)
    due = min((at for at in dated if at is not None and at <= limit), default=None)
    if standing.next_at <= limit and (due is None or standing.next_at <= due):
        return Boundary(standing.next_at, "cycle", cuts=True, ends_cycle=True, ends_period=True, **given)
    if due is not None:
        at = max(due, standing.cycle_start)
        ends = ends_at is not None and ends_at <= at
        return Boundary(at, "items", cuts=ends, ends_cycle=False, ends_period=ends, **given)
    if _reaches_threshold(cur, locked, standing, limit):
        return Boundary(limit, THRESHOLD, cuts=True, ends_cycle=False, **given)
    return None


def _reaches_threshold(cur: Cursor, locked: LockedOrganization, standing: Standing, limit: datetime) -> bool:
    """Use that a cut at the limit leaves to the next one counts then: it would be due for ever and never be billed."""
    if standing.threshold is None:
        return False
    unbilled = unbilled_of(cur, locked.id)
    if unbilled < standing.threshold:
        return False
    until = limit if standing.cut is None else max(limit, standing.cut.until)
    return unbilled - dated_ahead(cur, locked.id, at=until) >= standing.threshold


def pass_turns_to_boundary(
    cur: Cursor, locked: LockedOrganization, limit: datetime, *, author: Author
) -> Boundary | None:
    """This function will pass each turn until the next boundary up to a limit, in the order in which runs do, and
    return that boundary, without its cut. The caller holds the lock. Raises what `pass_turn` raises."""
    while True:
        dues = dues_of(cur, locked.id)
        boundary = next_boundary(cur, locked, dues, limit)
        turn = next_turn(cur, locked, dues)
        if turn is None or turn > (limit if boundary is None else boundary.at):
            return boundary
        pass_turn(cur, locked, until=turn, author=author)

"""Moving subscriptions over the boundaries that are due, each dated at its own moment."""

from datetime import datetime
from typing import Final

from billing.operations.subscriptions.recording import known_of, record_decision, terms_of, with_change
from billing.queries.subscriptions import next_due
from billing.rules.subscriptions.boundaries import decide_boundary
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

AUTHOR: Final = Author("system:billing")


def advance(cur: Cursor, locked: LockedOrganization, *, until: datetime, author: Author = AUTHOR) -> None:
    """This function will move every subscription of the locked organization over each boundary up to and at `until`, in
    order of time.

    Each boundary is an event dated at its moment with the items, metered periods and grants that it makes; so after a
    standstill the same rows arise as if each had been passed in time, and what a crash left undone is due again.
    Raises NotFound for an organization without books whose plan brings credit.
    """
    while (row := next_due(cur, organization=locked.id, until=until)) is not None:
        waiting = None if row.pending is None else terms_of(cur, row.pending.selection.version)
        assert row.next_at is not None
        known = known_of(cur, locked, row, at=row.next_at)
        if row.pending is not None and waiting is not None:
            known = with_change(cur, locked, known, row, row.pending.selection, waiting, at=row.next_at)
        decision = decide_boundary(row, known, waiting=waiting)
        record_decision(cur, locked, decision, before=row, author=author, asked=False)

"""The subscriptions of an organization that is closed end with it."""

from billing.operations.subscriptions.advance import advance
from billing.operations.subscriptions.recording import known_of, record_decision
from billing.queries.subscriptions import subscriptions_of
from billing.rules.subscriptions.ending import decide_cancel_now
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

REASON = "The organization was closed"


def end_subscriptions(cur: Cursor, locked: LockedOrganization, author: Author) -> None:
    """This function will pass what is due of an organization that is about to be closed and then cancel each of its
    subscriptions: what was used until now is invoiced by the next billing run, and nothing unused is credited.

    The caller holds the lock, and the organization is still active. Raises what `advance` raises.
    """
    advance(cur, locked, until=locked.now, author=author)
    for row in subscriptions_of(cur, organization=locked.id):
        known = known_of(cur, locked, row, at=locked.now)
        decision = decide_cancel_now(row, known, at=locked.now, reason=REASON)
        record_decision(cur, locked, decision, before=row, author=author)

"""Moving whatever a customer has over its boundaries: what a billing run calls before it drafts."""

from datetime import datetime
from typing import Final

from billing.operations.contracts import advance as contracts
from billing.operations.subscriptions import advance as subscriptions
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

AUTHOR: Final = Author("system:billing")


def advance(cur: Cursor, locked: LockedOrganization, *, until: datetime, author: Author = AUTHOR) -> None:
    """This function will move the locked organization's subscriptions, then its contracts, over each boundary up to and
    at `until`. It raises what both raise."""
    subscriptions.advance(cur, locked, until=until, author=author)
    contracts.advance(cur, locked, until=until, author=author)

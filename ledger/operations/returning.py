"""Credit that was given away and burnt for use that turned out not to be: it goes back to its grants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from common.ids import new_id
from events.store import Cursor, append
from ledger.operations.books import lock_books
from ledger.queries.balances import find_grants
from ledger.rules.effects import entry
from ledger.rules.grants import Grant, is_live
from orgs.operations.facts import Author


def give_back_gifts(
    cur: Cursor, *, organization: UUID, gifts: Mapping[UUID, int], charge: str, author: Author
) -> int:
    """This function will give units back to the grants that they were burnt from, and return how many it gave.

    A grant that has ended gets nothing: what it was for is over; one of a commitment ends with its settlement. `charge`
    names what took the use back; it is posted once. It locks the organization. Raises NotFound.
    """
    books = lock_books(cur, organization)
    rows = find_grants(cur, organization=organization, grants=sorted(gifts))
    live = [row.grant.id for row in rows if _takes(row.grant, books.now)]
    whole = sum(gifts[grant] for grant in live)
    if not whole:
        return 0
    made = entry(
        kind="give_back",
        key=f"give_back:{charge}",
        source=f"charge:{charge}",
        lines=[books.line("customer_credit", whole), books.line("revenue", -whole)],
        currency=books.currency,
        reason="Metered use that it paid for was taken back.",
    )
    ledger = {"entries": [made], "burned": [[str(grant), -gifts[grant]] for grant in live]}
    append(cur, [books.event("journal", new_id(), "reversed", {"ledger": ledger}, author)])
    return whole


def is_unsettled(grant: Grant) -> bool:
    """Return whether a grant is of a commitment that is not settled yet."""
    return grant.kind == "committed" and grant.expired_at is None


def _takes(grant: Grant, now: datetime) -> bool:
    return is_unsettled(grant) or (grant.expired_at is None and is_live(grant, now))

"""Posting journal entries: the general way in, for whatever has no operation of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.errors import InvalidField
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, append
from ledger.operations.books import Books, lock_books
from ledger.queries.journal import posted_keys
from ledger.rules.effects import entry
from orgs.operations.facts import Author


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A journal entry to be posted once under its key. `lines` are (account kind, amount in units).

    A credit is positive, a debit negative. `source` names what it comes from, such as invoice:<id>.
    """

    kind: str
    key: str
    source: str
    lines: Sequence[tuple[str, int]]
    reason: str = ""
    effective_at: datetime | None = None


def post_entry(cur: Cursor, *, organization: UUID, entry: NewEntry, author: Author) -> UUID:
    """This function will post one journal entry and return its id; see `post_entries`."""
    return post_entries(cur, organization=organization, entries=[entry], author=author)[0]


def post_entries(
    cur: Cursor, *, organization: UUID, entries: Sequence[NewEntry], author: Author
) -> list[UUID]:
    """This function will post journal entries on an organization's own accounts, all or none, and return their ids.

    An entry whose key was posted before is not posted again; its id is returned (S11). Customer credit is not
    posted here: grants and debt must move with it (L7). Raises NotFound, and InvalidField for an unbalanced
    entry (L1), an empty source or key, or an account that the organization has not, and PeriodClosed for one that would
    take effect in a closed month.
    """
    books = lock_books(cur, organization)
    known = posted_keys(cur, organization=organization, keys=[new.key for new in entries])
    made = []
    for new in entries:
        if new.key not in known:
            made.append(_entry(books, new))
            known[new.key] = UUID(made[-1]["id"])
    if made:
        append(cur, [books.event("journal", new_id(), "posted", {"ledger": {"entries": made}}, author)])
    return [known[new.key] for new in entries]


def _entry(books: Books, new: NewEntry) -> dict[str, Any]:
    if not new.source or not new.key:
        raise InvalidField("An entry has a source and a key.")
    for kind, amount in new.lines:
        if kind == "customer_credit" or kind not in books.accounts:
            raise InvalidField(f"Nothing is posted to {kind} here.")
        checked_units(amount)
    amounts = [amount for _, amount in new.lines]
    if not amounts or 0 in amounts or sum(amounts) != 0:
        raise InvalidField("The lines of an entry are not zero and sum to zero.")
    books.refuse_closed(new.effective_at)
    return entry(
        kind=new.kind,
        key=new.key,
        source=new.source,
        lines=[books.line(kind, amount) for kind, amount in new.lines],
        currency=books.currency,
        reason=new.reason,
        effective_at=new.effective_at,
    )

"""Credit that goes back: refund of what is unused, and clawback of what may be used already (S08)."""

from typing import Any
from uuid import UUID

from common.errors import AmountExceedsAvailable, InvalidField, InvalidTransition, NotFound
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, append
from ledger.operations.books import Books, grants_of, lock_books
from ledger.queries.balances import find_grants, grants_by_source
from ledger.queries.journal import find_entry, posted_keys
from ledger.rules.adjustments import require_reason
from ledger.rules.corrections import as_effects, take
from ledger.rules.effects import entry
from ledger.rules.grants import Grant, available
from orgs.operations.facts import Author


def refund_credit(
    cur: Cursor, *, organization: UUID, grant: UUID, amount: int, reason: str, author: Author
) -> UUID:
    """This function will give back an unburnt part of paid credit (units) and return the journal entry's id (S08).

    Not more than the grant has free, nor than the organization has available: a refund makes no debt. What a plan or a
    contract gives is no credit that was bought: a credit note takes that back.
    Raises NotFound (also for credit that was not paid for), AmountExceedsAvailable, and InvalidField without a
    reason.
    """
    text = require_reason(reason)
    books = lock_books(cur, organization)
    found = [row.grant for row in find_grants(cur, organization=organization, grants=[grant])]
    if not found or not _was_bought(found[0]):
        raise NotFound("There is no such paid grant.")
    free = min(_free(found[0], books), available(grants_of(cur, books), books.debt, books.now))
    if amount > free:
        raise AmountExceedsAvailable(
            "Only what is neither burnt, held nor owed can be given back.", pointer="/amount"
        )
    refund = new_id()
    made = _entry(
        books, "refund", key=f"refund:{refund}", source=f"grant:{grant}", amount=amount, reason=text
    )
    ledger = {"entries": [made], "burned": [[str(grant), amount]]}
    append(cur, [books.event("refund", refund, "refunded", {"ledger": ledger}, author)])
    return UUID(made["id"])


def claw_back(cur: Cursor, *, organization: UUID, amount: int, key: str, reason: str, author: Author) -> UUID:
    """This function will take credit (units) back whatever is left of it, and return the journal entry's id (S08).

    Free paid credit goes first, the newest grant first; the rest becomes debt, and the gate is shut until a grant
    has repaid it. `key` names what took it back (a dispute, a refund at the processor); repeated, it is posted once.
    Raises NotFound, AmountOutOfRange, InvalidTransition for the key of another amount, and InvalidField without a
    reason.
    """
    text = require_reason(reason)
    if not key:
        raise InvalidField("A clawback names what took the credit back.", pointer="/source")
    books = lock_books(cur, organization)
    known = posted_keys(cur, organization=organization, keys=[f"clawback:{key}"])
    if known:
        entry_id = known[f"clawback:{key}"]
        before = find_entry(cur, organization=organization, entry=entry_id)
        if (books.credit, -amount) not in {(line.account, line.amount) for line in before.lines}:
            raise InvalidTransition(
                "This source took another amount back already; a second part needs its own."
            )
        return entry_id
    taken = credit_taken(cur, books, amount)
    made = _entry(books, "clawback", key=f"clawback:{key}", source=key, amount=amount, reason=text)
    ledger = {"entries": [made], **taken}
    entry_id = UUID(made["id"])
    append(cur, [books.event("clawback", entry_id, "clawed_back", {"ledger": ledger}, author)])
    return entry_id


def credit_taken(cur: Cursor, books: Books, amount: int, *, source: str = "") -> dict[str, Any]:
    """This function will return what taking credit (units) back does beside the journal: free paid credit is burnt,
    what `source` gave first, then the newest grant, and the rest is debt. Nothing is written. Raises AmountOutOfRange.

    A payment's own credit goes first, so that the outcome is the same in whatever order payments and what goes back of
    them are heard of.
    """
    checked_units(books.posted - amount)
    paid = [grant for grant in grants_of(cur, books) if _was_bought(grant) and _free(grant, books) > 0]
    own = grants_by_source(cur, account=books.credit, source=source) if source else set()
    paid.sort(key=lambda grant: (grant.id in own, grant.created_at, grant.id), reverse=True)
    return as_effects(take(paid, amount), account=books.credit)


def _was_bought(grant: Grant) -> bool:
    return grant.kind == "paid" and grant.source == "credit"


def _free(grant: Grant, books: Books) -> int:
    """What has expired belongs to breakage, also before it was swept."""
    if grant.expires_at is not None and grant.expires_at <= books.now:
        return 0
    return grant.remaining - grant.held


def _entry(books: Books, kind: str, *, key: str, source: str, amount: int, reason: str) -> dict[str, Any]:
    return entry(
        kind=kind,
        key=key,
        source=source,
        lines=[books.line("customer_credit", -amount), books.line("cash", amount)],
        currency=books.currency,
        reason=reason,
    )

"""Reversing a journal entry: the only correction there is. What was written stays (S02)."""

from typing import Any
from uuid import UUID

from common.errors import InvalidTransition
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, append
from ledger.operations.books import Books, lock_books
from ledger.queries.balances import find_grants
from ledger.queries.journal import EntryRow, find_entry, ledger_part, shares_of_entry
from ledger.rules.adjustments import require_reason
from ledger.rules.corrections import Movement, as_effects, corrected_by, give_back, regrant, take
from ledger.rules.effects import USAGE, entry
from orgs.operations.facts import Author


def reverse_entry(cur: Cursor, *, organization: UUID, entry: UUID, reason: str, author: Author) -> UUID:
    """This function will post the negative of an entry, once, and return the reversing entry's id.

    Credit that the entry took goes back to where it came from: its debt, the grants it was burnt from (of those
    that have expired it is breakage), else a new promotional grant without an end. Credit that it gave is taken
    from its grant, as far as that is free; the rest becomes debt (S08, L7). Usage records and budgets stay as they
    are.

    Raises NotFound, InvalidField without a reason, and InvalidTransition for an entry that is reversed already, is a
    reversal itself, states what an invoice or another document says, or what invoices and contracts count by records
    of usage (metered charges, the postpaid line, commitments): that is corrected by their own operations.
    """
    text = require_reason(reason)
    books = lock_books(cur, organization)
    original = find_entry(cur, organization=organization, entry=entry)
    if original.reversed_by is not None:
        raise InvalidTransition("The entry is reversed already.")
    if original.reverses is not None:
        raise InvalidTransition("A reversal is not reversed; post what is meant anew.")
    _refuse_owned(cur, original)
    ledger = _effects(cur, books, original, text)
    data = {"ledger": ledger, **_unshared(cur, books, original)}
    append(cur, [books.event("journal", new_id(), "reversed", data, author)])
    reversal: str = ledger["entries"][0]["id"]
    return UUID(reversal)


def _refuse_owned(cur: Cursor, original: EntryRow) -> None:
    accounts = {line.kind for line in original.lines}
    sources: set[str] = set()
    if original.kind in (USAGE, "grant"):
        part = ledger_part(cur, organization=original.organization, entry=original.id)
        names = [UUID(grant) for grant, _ in part.get("burned", ())]
        names += [UUID(grant["id"]) for grant in part.get("granted", ())]
        rows = find_grants(cur, organization=original.organization, grants=names)
        sources = {row.grant.source for row in rows}
    found = corrected_by(kind=original.kind, key=original.key, accounts=accounts, sources=sources)
    if found is not None:
        raise InvalidTransition(f"This entry is not reversed by itself: {found}.")


def _unshared(cur: Cursor, books: Books, original: EntryRow) -> dict[str, Any]:
    """What partners got of a charge goes back with it, from who paid for it (S100), on the day on which they got it:
    the volume of that month falls. Other entries of its event (breakage) are no charge."""
    if original.kind != USAGE:
        return {}
    found = shares_of_entry(cur, organization=books.organization.id, entry=original.id)
    if found is None:
        return {}
    usage, day, shares = found
    parts = [
        [partner, payer, *(-amount for amount in amounts)]
        for partner, payer, *amounts in shares.get("parts", ())
    ]
    told = {name: shares[name] for name in ("listing", "rule", "agent") if name in shares}
    return {"shares": {**told, "usage": usage, "day": day.isoformat(), "calls": 0, "parts": parts}}


def _effects(cur: Cursor, books: Books, original: EntryRow, reason: str) -> dict[str, Any]:
    source = f"entry:{original.id}"
    reversal = entry(
        kind="reversal",
        key=f"reversal:{original.id}",
        source=source,
        lines=[[str(line.account), -line.amount] for line in original.lines],
        currency=original.lines[0].currency,
        reason=reason,
        reverses=str(original.id),
    )
    credit = -sum(line.amount for line in original.lines if line.account == books.credit)
    if credit == 0:
        return {"entries": [reversal]}
    checked_units(books.posted + credit)
    moved = _moved(cur, books, original, credit)
    ledger = {"entries": [reversal], **as_effects(moved, account=books.credit)}
    if moved.lost:
        ledger["entries"].append(_breakage(books, original, moved.lost))
    if moved.regranted:
        ledger["granted"] = [books.regranted(moved, kind="promotional", reason=reason, source=source)]
    return ledger


def _moved(cur: Cursor, books: Books, original: EntryRow, credit: int) -> Movement:
    part = ledger_part(cur, organization=books.organization.id, entry=original.id)
    if original.kind == "breakage":
        return regrant(credit, debt=books.debt)
    if credit < 0:
        ids = [UUID(grant["id"]) for grant in part.get("granted", ())]
        rows = find_grants(cur, organization=books.organization.id, grants=ids)
        return take([row.grant for row in rows], -credit)
    burned = [(UUID(grant), amount) for grant, amount in part.get("burned", ())]
    rows = find_grants(cur, organization=books.organization.id, grants=[grant for grant, _ in burned])
    return give_back(
        credit,
        burned=burned,
        owed=sum(amount for _, amount in part.get("debt", ())),
        debt=books.debt,
        grants={row.grant.id: row.grant for row in rows},
        now=books.now,
    )


def _breakage(books: Books, original: EntryRow, amount: int) -> dict[str, Any]:
    return entry(
        kind="breakage",
        key=f"breakage:reversal:{original.id}",
        source=f"entry:{original.id}",
        lines=[books.line("customer_credit", -amount), books.line("breakage", amount)],
        currency=books.currency,
    )

"""Manual adjustments of credit: proposed with a reason; above the limit posted only when another person approves."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from common.errors import AmountExceedsAvailable, CurrencyMismatch, InvalidField, InvalidTransition
from common.ids import new_id
from common.money import checked_units
from events.store import Cursor, append
from ledger.operations.books import Books, grants_of, lock_books
from ledger.queries.adjustments import AdjustmentRow, find_adjustment
from ledger.queries.persons import person_of
from ledger.rules import adjustments as rules
from ledger.rules.corrections import Movement, as_effects, regrant, take
from ledger.rules.effects import entry
from ledger.rules.grants import available, in_burn_order, is_live
from orgs.operations.facts import Author
from orgs.rules.facts import time_text


@dataclass(frozen=True, slots=True)
class NewAdjustment:
    """An adjustment of an organization's credit: `amount` in units, above zero gives, below zero takes.

    `contra_kind` is the account that stands against it, such as promotional_expense, revenue or cash.
    """

    organization: UUID
    amount: int
    currency: str
    contra_kind: str
    reason: str


def propose_adjustment(cur: Cursor, new: NewAdjustment, *, author: Author, above: int | None = None) -> UUID:
    """This function will propose an adjustment and return its id; up to the limit it is posted at once (S12).

    The limit is the setting ADJUSTMENT_APPROVAL_ABOVE, in the organization's currency; `above` (units) replaces it.

    Raises NotFound, CurrencyMismatch, InvalidField (no reason, amount 0, a contra account that has a limit or
    does not exist) and, where it is posted, AmountExceedsAvailable and AmountOutOfRange.
    """
    reason = rules.require_reason(new.reason)
    books = lock_books(cur, new.organization)
    if new.currency != books.currency:
        raise CurrencyMismatch(f"The organization's currency is {books.currency}.", pointer="/currency")
    if new.amount == 0:
        raise InvalidField("An adjustment is not zero.", pointer="/amount")
    if new.contra_kind not in rules.CONTRA_KINDS:
        raise InvalidField("This account cannot stand against credit.", pointer="/contra_kind")
    adjustment = new_id()
    data: dict[str, Any] = {
        "amount": new.amount,
        "currency": new.currency,
        "contra_kind": new.contra_kind,
        "reason": reason,
        "proposed_by": author.actor,
        "created_at": time_text(books.now),
        "status": "proposed",
    }
    limit = settings.ADJUSTMENT_APPROVAL_ABOVE_UNITS if above is None else above
    if rules.needs_approval(new.amount, above=limit):
        append(cur, [books.event("adjustment", adjustment, "proposed", data, author)])
    else:
        posted = _posted(cur, books, adjustment, data, author)
        append(cur, [books.event("adjustment", adjustment, "posted", posted, author)])
    return adjustment


def approve_adjustment(cur: Cursor, *, organization: UUID, adjustment: UUID, author: Author) -> UUID:
    """This function will post a proposed adjustment and return its journal entry's id (S12).

    The approver is another person than the proposer, whatever logins they use. Raises NotFound,
    MakerCannotApprove, InvalidTransition, AmountExceedsAvailable and AmountOutOfRange.
    """
    books = lock_books(cur, organization)
    row = _open(find_adjustment(cur, organization=organization, adjustment=adjustment))
    rules.require_other_person(
        proposer=person_of(cur, row.proposed_by), approver=person_of(cur, author.actor)
    )
    posted = _posted(cur, books, adjustment, _definition(row), author)
    append(cur, [books.event("adjustment", adjustment, "posted", posted, author, version=row.version + 1)])
    return UUID(posted["entry"])


def reject_adjustment(
    cur: Cursor, *, organization: UUID, adjustment: UUID, reason: str, author: Author
) -> None:
    """This function will end a proposal without an entry; its maker may do that, too (withdrawing it).

    Raises NotFound, InvalidField without a reason, and InvalidTransition.
    """
    text = rules.require_reason(reason)
    books = lock_books(cur, organization)
    row = _open(find_adjustment(cur, organization=organization, adjustment=adjustment))
    data = {
        **_definition(row),
        "status": "rejected",
        "decided_by": author.actor,
        "decided_at": time_text(books.now),
        "decision_reason": text,
    }
    append(cur, [books.event("adjustment", adjustment, "rejected", data, author, version=row.version + 1)])


def _open(row: AdjustmentRow) -> AdjustmentRow:
    if row.status != "proposed":
        raise InvalidTransition(f"The adjustment is {row.status} already.")
    return row


def _definition(row: AdjustmentRow) -> dict[str, Any]:
    return {
        "amount": row.amount,
        "currency": row.currency,
        "contra_kind": row.contra_kind,
        "reason": row.reason,
        "proposed_by": row.proposed_by,
        "created_at": time_text(row.created_at),
    }


def _posted(
    cur: Cursor, books: Books, adjustment: UUID, definition: dict[str, Any], author: Author
) -> dict[str, Any]:
    amount, contra = definition["amount"], definition["contra_kind"]
    checked_units(books.posted + amount)
    source = f"adjustment:{adjustment}"
    made = entry(
        kind="adjustment",
        key=source,
        source=source,
        lines=[books.line("customer_credit", amount), books.line(contra, -amount)],
        currency=books.currency,
        reason=definition["reason"],
    )
    moved = regrant(amount, debt=books.debt) if amount > 0 else _taken(cur, books, -amount)
    ledger: dict[str, Any] = {"entries": [made], **as_effects(moved, account=books.credit)}
    if moved.regranted:
        kind = rules.grant_kind(contra)
        ledger["granted"] = [books.regranted(moved, kind=kind, reason=definition["reason"], source=source)]
    return {
        **definition,
        "status": "posted",
        "decided_by": author.actor,
        "decided_at": time_text(books.now),
        "entry": made["id"],
        "ledger": ledger,
    }


def _taken(cur: Cursor, books: Books, amount: int) -> Movement:
    """Credit that is taken by hand makes no debt, and is not that of a plan or a contract."""
    grants = [grant for grant in grants_of(cur, books) if grant.source == "credit"]
    if amount > available(grants, books.debt, books.now):
        raise AmountExceedsAvailable("There is less credit available.", pointer="/amount")
    return take(in_burn_order(grant for grant in grants if is_live(grant, books.now)), amount)

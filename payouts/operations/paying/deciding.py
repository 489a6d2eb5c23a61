"""What people decide of payouts: hold, release, approve, reject, cancel, retry, reverse."""

from __future__ import annotations

from uuid import UUID

from common.errors import InvalidField, InvalidTransition
from events.store import Cursor
from ledger.operations.books import Books
from ledger.queries.persons import person_of
from ledger.rules.adjustments import require_other_person
from orgs.operations.facts import Author
from payouts.operations.paying.machine import (
    books_of,
    hold,
    keep,
    proceed,
    recall,
    send,
    send_on,
    settled,
    take_back,
)
from payouts.queries.payouts import find_payout
from payouts.rules.paying.judging import Hold
from payouts.rules.paying.row import BY_PLATFORM, MANUAL, REVIEW, Payout, given_back, moved, noted
from payouts.rules.paying.states import CANCELED, HELD, PAID, PENDING_APPROVAL, RETURNED, WAITING


def approve_payout(cur: Cursor, *, payout: UUID, author: Author) -> Payout:
    """This function will approve a payout above the limit, as another person than the one who requested it, and have it
    sent. Where a key that stands for no person asked for it on the platform's behalf, two persons approve: the first
    one is noted, and it still waits. Raises NotFound, MakerCannotApprove and InvalidTransition."""
    found, books = _locked(cur, payout)
    if found.state != PENDING_APPROVAL:
        raise InvalidTransition(f"A payout that is {found.state} waits for nobody's approval.")
    proposer, approver = person_of(cur, found.requested_by), person_of(cur, author.actor)
    require_other_person(proposer=proposer, approver=approver)
    if proposer is None and found.cause in BY_PLATFORM:
        if found.first_approved_by is None:
            return keep(cur, books, found, noted(found, first_approved_by=author.actor), author=author)
        require_other_person(proposer=person_of(cur, found.first_approved_by), approver=approver)
    return proceed(cur, books, found, author=author, approved_by=author.actor)


def hold_payout(cur: Cursor, *, payout: UUID, reason: str, author: Author) -> Payout:
    """This function will hold a payout that was not sent yet until somebody releases it. Raises NotFound, InvalidField
    without a reason, and InvalidTransition once it was sent."""
    note = _reason(reason)
    found, books = _locked(cur, payout)
    if found.state not in WAITING:
        raise InvalidTransition(f"A payout that is {found.state} is not held.")
    return hold(cur, books, found, Hold(MANUAL, note), author=author)


def release_payout(cur: Cursor, *, payout: UUID, author: Author) -> Payout:
    """This function will let a held payout go on: to a second person above the limit, otherwise to be sent. What its
    account hinders holds it still; only of a payout that is held for a review is the review over. Raises NotFound and
    InvalidTransition."""
    found, books = _locked(cur, payout)
    if found.state != HELD:
        raise InvalidTransition(f"A payout that is {found.state} is not held.")
    reviewed = {"reviewed_by": author.actor} if found.hold == REVIEW else {}
    return proceed(cur, books, found, author=author, **reviewed)


def cancel_payout(
    cur: Cursor, *, payout: UUID, author: Author, organization: UUID | None = None, reason: str | None = None
) -> Payout:
    """This function will cancel, or reject, a payout that was not sent yet; its amount can be withdrawn again at once.
    `organization`: whose it must be. Raises NotFound, and InvalidTransition once it was sent."""
    found, books = _locked(cur, payout, organization)
    failure = None if reason is None else {"code": "rejected", "message": _reason(reason)}
    ended = {"hold": None, "hold_note": None, "waits_for": None, "next_at": None, "ended_at": books.now}
    after = moved(found, CANCELED, failure=failure, **ended)
    if found.waits_for is not None:
        settled(cur, found, "payout_waits", "It is canceled.", author)
    return keep(cur, books, found, after, given_back(found), author=author)


def retry_payout(cur: Cursor, *, payout: UUID, author: Author) -> Payout:
    """This function will have tried now what waits for a next try, or what of a payout that came back is not reversed
    yet. What is unknown is looked for, never sent anew: see the command. Raises NotFound and InvalidTransition."""
    found, _ = _locked(cur, payout)
    tried = try_again(cur, found, author=author)
    if tried is None:
        raise InvalidTransition("Nothing of this payout waits for another try.")
    return tried


def try_again(cur: Cursor, payout: Payout, *, author: Author) -> Payout | None:
    """This function will ask anew for the next step of a payout that was refused for now; None: nothing waits. The
    caller holds the partner's lock."""
    books = books_of(cur, payout)
    if payout.state in RETURNED and not payout.is_taken_back:
        take_back(cur, payout, author)
    elif payout.waits_for is None:
        return None
    elif payout.transfer is None:
        send(cur, payout, author)
    elif payout.payout is None:
        send_on(cur, payout, author)
    else:
        return None
    if payout.waits_for is None:
        return payout
    settled(cur, payout, "payout_waits", "It is tried again.", author)
    return keep(cur, books, payout, noted(payout, waits_for=None, next_at=None), author=author)


def reverse_payout(cur: Cursor, *, payout: UUID, reason: str, author: Author) -> Payout:
    """This function will ask for a paid payout back from the bank, which not every bank gives; it is reversed when it
    has arrived. Raises NotFound, InvalidField without a reason, and InvalidTransition unless it is paid and was not
    asked for already; after an attempt that failed it can be asked for anew."""
    _reason(reason)
    found, books = _locked(cur, payout)
    if found.state != PAID:
        raise InvalidTransition(f"A payout that is {found.state} is not reversed.")
    recall(cur, found, author)
    return keep(cur, books, found, noted(found, hold_note=reason.strip()), author=author)


def _locked(cur: Cursor, payout: UUID, organization: UUID | None = None) -> tuple[Payout, Books]:
    """The payout as it is under its partner's lock, with the books."""
    books = books_of(cur, find_payout(cur, payout, organization=organization))
    return find_payout(cur, payout, organization=organization), books


def _reason(text: str) -> str:
    said = text.strip()
    if not said:
        raise InvalidField("A reason is required.", pointer="/reason")
    return said

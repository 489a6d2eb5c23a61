"""A payout's change under its partner's lock: the guard, the event with its entries, and what follows at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from billing.operations.commands import request
from billing.operations.findings import open_finding, resolve_open
from billing.operations.invoices.booking import booked
from billing.queries.commands import commands_about
from billing.rules.payments.commands import SUCCEEDED, Command
from billing.rules.payments.minor import to_minor
from common.errors import InvalidTransition
from events.store import Cursor
from ledger.operations.books import Books, lock_books
from orgs.operations.facts import Author, record
from payouts.queries.partners import payable_balance, require_partner
from payouts.queries.payouts import open_payout
from payouts.rules.paying.amounts import approval_above
from payouts.rules.paying.judging import Hold, Limits, hold_of, next_state
from payouts.rules.paying.row import (
    BY_ITSELF,
    RETRY_EVERY,
    REVIEW,
    Payout,
    Step,
    brought_back,
    fact,
    given_back,
    moved,
    noted,
    verb_of,
)
from payouts.rules.paying.states import APPROVED, FAILED, HELD, PAID, PROCESSING, REVERSED

TRANSFER: Final = "create_transfer"
PAYOUT: Final = "create_payout"
REVERSAL: Final = "reverse_transfer"
RECALL: Final = "reverse_payout"
INSUFFICIENT: Final = "balance_insufficient"
_REASONS: Final[Mapping[str, str]] = {
    "payout_requested": "Payout",
    "payout_transferred": "Payout: at the partner's account",
    "payout_paid": "Payout: at the bank",
    "payout_returned": "Payout: came back",
    "payout_transferred_back": "Payout: its transfer was reversed",
}


def limits(currency: str) -> Limits:
    """Return what is set for all payouts of a currency."""
    above = approval_above(
        currency,
        plain=settings.PAYOUT_APPROVAL_ABOVE_UNITS,
        named=settings.PAYOUT_APPROVAL_ABOVE_BY_CURRENCY,
    )
    return Limits(above, timedelta(hours=settings.PAYOUT_DESTINATION_WAIT_HOURS))


def keep(
    cur: Cursor, books: Books, before: Payout | None, after: Payout, *steps: Step, author: Author
) -> Payout:
    """This function will write one change of a payout with its entries, in one event. Raises InvalidTransition."""
    if before is not None and before.state != after.state:
        guard(before.state, after.state)
    entries: list[Any] = []
    for step in steps:
        made = booked(
            books,
            step.postings,
            kind=step.kind,
            key=step.key,
            source=after.business_key,
            reason=_REASONS[step.kind],
        )
        entries += made["entries"]
    ledger = {"entries": entries} if entries else {}
    record(cur, [fact(after, verb_of(before, after), at=books.now, ledger=ledger)], author=author)
    return after


def guard(state: str, target: str) -> None:
    """Refuse what the model's own guard rail does not allow. Raises InvalidTransition."""
    # Models can be imported once Django is set up; operations are imported before that, too.
    from payouts.operations.paying.guarding import pass_guard

    pass_guard(state, target)


def proceed(cur: Cursor, books: Books, payout: Payout, *, author: Author, **changes: Any) -> Payout:
    """This function will let a payout that nobody sent yet go on: to a review, to a second person, or to be sent. It
    goes to the bank account that its partner has now, which has waited.

    `changes`: who looked at it (`reviewed_by`) or approved it (`approved_by`) just now.
    """
    destination = require_partner(cur, payout.organization).destination
    looked = replace(payout, destination=destination, **changes)
    found = hindered(cur, books, looked)
    if found is not None:
        return hold(cur, books, payout, found, author=author, **changes)
    state = next_state(looked, None, limits(payout.currency))
    if state == payout.state:
        return payout
    told = {"hold": None, "hold_note": None, "next_at": None, "destination": destination, **changes}
    if state == APPROVED:
        told["approved_at"] = payout.approved_at or books.now
    after = keep(cur, books, payout, moved(payout, state, **told), author=author)
    if state == APPROVED:
        send(cur, after, author)
    return after


def hindered(cur: Cursor, books: Books, payout: Payout) -> Hold | None:
    """This function will say what keeps a payout from being sent now; None: nothing. The caller holds the partner's
    lock."""
    partner = require_partner(cur, payout.organization)
    return hold_of(
        partner, payout, limits(payout.currency), balance=payable_balance(cur, partner), now=books.now
    )


def hold(cur: Cursor, books: Books, payout: Payout, found: Hold, *, author: Author, **changes: Any) -> Payout:
    """This function will hold a payout, or say why it still is. What ends by itself is looked at again."""
    ends = found.until or (books.now + RETRY_EVERY if found.code in BY_ITSELF else None)
    told = {"hold": found.code, "hold_note": found.note, "next_at": ends, "waits_for": None, **changes}
    if payout.waits_for is not None:
        settled(cur, payout, "payout_waits", "It is held.", author)
    if payout.state == HELD:
        same = (payout.hold, payout.hold_note) == (found.code, found.note) and not changes
        if same and (ends is None or found.until == payout.next_at):
            return payout
        return keep(cur, books, payout, noted(payout, **told), author=author)
    return keep(cur, books, payout, moved(payout, HELD, **told), author=author)


def forget_review(cur: Cursor, organization: UUID, *, author: Author) -> None:
    """This function will have a partner's payout that was released for one reason be held for another."""
    found = open_payout(cur, organization)
    if found is not None and found.reviewed_by is not None:
        keep(cur, books_of(cur, found), found, noted(found, reviewed_by=None), author=author)


def end_review(cur: Cursor, organization: UUID, *, author: Author) -> None:
    """This function will let a partner's payout go on that is held for a review, when finance holds the partner no
    more; what else hinders it holds it still."""
    found = open_payout(cur, organization)
    if found is not None and found.hold == REVIEW:
        proceed(cur, books_of(cur, found), found, author=author)


def send(cur: Cursor, payout: Payout, author: Author) -> Command:
    """This function will ask for the transfer to the connected account."""
    return request(
        cur,
        organization=payout.organization,
        purpose=TRANSFER,
        business_key=payout.business_key,
        params={
            **_amount(payout),
            "destination": payout.account,
            "transfer_group": payout.business_key,
            "metadata": {"payout": str(payout.id)},
        },
        author=author,
        order_key=payout.business_key,
    )


def send_on(cur: Cursor, payout: Payout, author: Author) -> Command:
    """This function will ask for the payout on the connected account, to the bank account that was judged."""
    return request(
        cur,
        organization=payout.organization,
        purpose=PAYOUT,
        business_key=payout.business_key,
        params={
            **_amount(payout),
            **({} if payout.destination is None else {"destination": payout.destination}),
            "metadata": {"payout": str(payout.id)},
        },
        author=author,
        account=payout.account,
        order_key=payout.business_key,
    )


def take_back(cur: Cursor, payout: Payout, author: Author) -> Command | None:
    """This function will ask for what is left of the transfer; None: nothing is."""
    if payout.transfer is None or payout.is_taken_back:
        return None
    left = payout.amount - payout.taken_back
    return request(
        cur,
        organization=payout.organization,
        purpose=REVERSAL,
        business_key=payout.business_key,
        params={
            "amount": to_minor(left, currency=payout.currency),
            "metadata": {"payout": str(payout.id)},
        },
        author=author,
        target=payout.transfer,
        order_key=payout.business_key,
    )


def recall(cur: Cursor, payout: Payout, author: Author) -> Command:
    """This function will ask for a paid payout back from the bank, once more where an earlier attempt failed. Raises
    InvalidTransition while one is under way."""
    assert payout.payout is not None
    if payout.recall is not None or is_recall_open(cur, payout):
        raise InvalidTransition("It was asked for back already, and that has not ended.")
    made = [one for one in _recalls(cur, payout) if one.state == SUCCEEDED]
    return request(
        cur,
        organization=payout.organization,
        purpose=RECALL,
        business_key=f"recall:{payout.id}:{len(made)}",
        params={"metadata": {"payout": str(payout.id)}},
        author=author,
        account=payout.account,
        target=payout.payout,
        order_key=payout.business_key,
    )


def is_recall_open(cur: Cursor, payout: Payout) -> bool:
    """This function will say whether a payout was asked for back and nobody knows yet what became of that."""
    return any(one.state != SUCCEEDED for one in _recalls(cur, payout))


def _recalls(cur: Cursor, payout: Payout) -> list[Command]:
    """The commands that bring it back, but for those that were refused or never done."""
    return commands_about(
        cur, organization=payout.organization, purpose=RECALL, name="payout", value=str(payout.id)
    )


def wait(cur: Cursor, books: Books, payout: Payout, reason: str, *, author: Author) -> Payout:
    """This function will have a payout tried anew in a while: the processor said no for now and never tries itself. One
    whose transfer it refused was certainly not sent: it is approved again, to be held, canceled or judged once more."""
    find(
        cur, payout, "payout_waits", {"reason": reason},
        {"step": "fund the balance at the processor; it is tried again every 15 minutes"}, author,
    )  # fmt: skip
    told = {"waits_for": reason, "next_at": books.now + RETRY_EVERY}
    is_unsent = payout.state == PROCESSING and payout.transfer is None
    after = moved(payout, APPROVED, **told) if is_unsent else noted(payout, **told)
    return keep(cur, books, payout, after, author=author)


def come_back(
    cur: Cursor,
    books: Books,
    payout: Payout,
    state: str,
    failure: Mapping[str, Any] | None,
    *,
    author: Author,
) -> Payout:
    """This function will end a payout that did not reach the bank, or came back from there (failed, reversed): the
    partner can withdraw its amount again, and what was transferred is asked back."""
    after = moved(
        payout,
        state,
        failure=failure,
        ended_at=books.now,
        waits_for=None,
        next_at=None,
        paid_at=payout.paid_at,
    )
    keep(cur, books, payout, after, given_back(payout), author=author)
    if payout.waits_for is not None:
        settled(cur, payout, "payout_waits", f"The payout is {state}.", author)
    if state == FAILED:
        step = {"step": "see why; the partner's next payout is a new one"}
        find(cur, after, "payout_failed", {"failure": dict(failure or {}), "was": payout.state}, step, author)
    take_back(cur, after, author)
    return after


def bring_back(
    cur: Cursor, books: Books, payout: Payout, reversals: Mapping[str, int], *, author: Author
) -> Payout:
    """This function will book what reversals of a transfer brought back (units by their ids), each of them once. All of
    it reverses a paid payout."""
    known = {**payout.reversals, **reversals}
    if known.keys() == payout.reversals.keys():
        return payout
    # Payouts from before their reversals were kept have booked some of them without their ids.
    total = max(payout.taken_back, sum(known.values()))
    steps = [brought_back(payout, total)] if total > payout.taken_back else []
    told: dict[str, Any] = {"taken_back": total, "reversals": known, "waits_for": None, "next_at": None}
    if payout.state == PAID and total >= payout.amount:
        steps.append(given_back(payout))
        return keep(
            cur, books, payout, moved(payout, REVERSED, ended_at=books.now, **told), *steps, author=author
        )
    if payout.is_open or payout.state == PAID:
        detail = {"taken_back": total, "amount": payout.amount, "state": payout.state}
        step = {"step": "reverse the rest, or give it back at the processor"}
        find(cur, payout, "transfer_reversed_unasked", detail, step, author)
    return keep(cur, books, payout, noted(payout, **told), *steps, author=author)


def find(
    cur: Cursor,
    payout: Payout,
    kind: str,
    detail: Mapping[str, Any],
    proposed: Mapping[str, Any],
    author: Author,
) -> None:
    """This function will have a person see something of a payout."""
    evidence = {"payout": str(payout.id), "amount": payout.amount, "currency": payout.currency, **detail}
    open_finding(
        cur,
        organization=payout.organization,
        kind=kind,
        subject=payout.business_key,
        detail=evidence,
        proposed=proposed,
        author=author,
    )


def settled(cur: Cursor, payout: Payout, kind: str, reason: str, author: Author) -> None:
    """This function will resolve what a person need not see any more."""
    resolve_open(
        cur,
        organization=payout.organization,
        kind=kind,
        subject=payout.business_key,
        reason=reason,
        author=author,
    )


def books_of(cur: Cursor, payout: Payout) -> Books:
    """This function will lock a payout's partner and return its books."""
    return lock_books(cur, payout.organization)


def _amount(payout: Payout) -> dict[str, Any]:
    return {
        "amount": to_minor(payout.amount, currency=payout.currency),
        "currency": payout.currency.lower(),
    }

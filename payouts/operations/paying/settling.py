"""What follows from the processor's answers to a payout's commands, in the transaction that records them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from billing.rules.payments.commands import WITHDRAWN, Command
from billing.rules.payments.minor import from_minor
from billing.rules.payments.outcomes import Outcome, Refused, Succeeded
from billing.rules.payments.views import PayoutView, TransferView
from events.store import Cursor
from ledger.operations.books import Books
from orgs.operations.facts import Author
from payouts.operations.paying.applying import NOT_REVERSED, told, told_back
from payouts.operations.paying.machine import (
    INSUFFICIENT,
    books_of,
    bring_back,
    come_back,
    find,
    hindered,
    hold,
    keep,
    send_on,
    wait,
)
from payouts.queries.payouts import find_payout
from payouts.rules.paying.judging import Hold
from payouts.rules.paying.row import ACCOUNT, Payout, moved, noted, transferred
from payouts.rules.paying.states import APPROVED, FAILED, PROCESSING, UNKNOWN

AUTHOR: Final = Author("system:payouts.send")


def why_not_transfer(cur: Cursor, command: Command) -> str | None:
    """This function will say why a payout is not to be sent any more; None: it is, and is processing from now on. One
    that was in doubt and never was done is judged anew, too, and approved again if it is not to be sent. The caller
    holds the partner's lock, and sends it after the commit."""
    payout = payout_of_command(cur, command)
    # A command begins when all before it were refused or looked for in vain.
    is_anew = payout.state in (PROCESSING, UNKNOWN) and payout.transfer is None
    if payout.state != APPROVED and not is_anew:
        return f"The payout is {payout.state}."
    books = books_of(cur, payout)
    found = hindered(cur, books, payout)
    if found is None:
        if not is_anew:
            keep(cur, books, payout, moved(payout, PROCESSING), author=AUTHOR)
        return None
    if is_anew:
        sure = _certain(cur, payout)
        keep(cur, books, sure, moved(sure, APPROVED), author=AUTHOR)
    return found.note


def why_not_payout(cur: Cursor, command: Command) -> str | None:
    """This function will say why what is at the partner's account is not to go on to its bank; None: it is. The caller
    holds the partner's lock, and sends it after the commit."""
    payout = payout_of_command(cur, command)
    if not _is_to_be_sent_on(payout):
        return f"The payout is {payout.state}."
    found = hindered(cur, books_of(cur, payout), payout)
    return None if found is None else found.note


def settle_transfer(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will go on with a payout whose money is at the partner's account, or end it. What the platform's
    balance cannot pay now waits."""
    payout = payout_of_command(cur, command)
    books = books_of(cur, payout)
    if isinstance(outcome, Refused) and outcome.code == WITHDRAWN:
        _not_sent(cur, payout)
    elif isinstance(outcome, Refused) and outcome.code == INSUFFICIENT:
        wait(cur, books, _certain(cur, payout), INSUFFICIENT, author=AUTHOR)
    elif isinstance(outcome, Refused):
        come_back(cur, books, payout, FAILED, _failure(outcome), author=AUTHOR)
    elif isinstance(outcome, Succeeded) and payout.transfer is None:
        sure = _certain(cur, payout)
        sent_at = outcome.view.created if isinstance(outcome.view, TransferView) else None
        after = noted(sure, transfer=outcome.object_id, sent_at=sent_at, waits_for=None, next_at=None)
        keep(cur, books, sure, after, transferred(sure), author=AUTHOR)
        send_on(cur, after, AUTHOR)


def settle_payout(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will note the payout on the connected account, or give the money back where it is refused, or not
    to be sent on any more."""
    payout = payout_of_command(cur, command)
    books = books_of(cur, payout)
    if isinstance(outcome, Succeeded) and isinstance(outcome.view, PayoutView):
        told(cur, books, payout, outcome.view, author=AUTHOR)
    elif isinstance(outcome, Refused) and outcome.code == WITHDRAWN:
        _not_sent_on(cur, payout)
    elif isinstance(outcome, Refused) and outcome.code == INSUFFICIENT:
        wait(cur, books, _certain(cur, payout), INSUFFICIENT, author=AUTHOR)
    elif isinstance(outcome, Refused) and payout.state in (PROCESSING, UNKNOWN):
        come_back(cur, books, payout, FAILED, _failure(outcome), author=AUTHOR)


def settle_reversal(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will book that a transfer came back; one that cannot is a person's matter, and until then the
    partner has no other payout."""
    payout = payout_of_command(cur, command)
    books = books_of(cur, payout)
    if isinstance(outcome, Succeeded):
        amount = from_minor(command.params["amount"], currency=payout.currency)
        bring_back(cur, books, payout, {outcome.object_id: amount}, author=AUTHOR)
    elif isinstance(outcome, Refused) and outcome.code == INSUFFICIENT:
        wait(cur, books, payout, INSUFFICIENT, author=AUTHOR)
    elif isinstance(outcome, Refused):
        step = {
            "step": "settle it with the partner; then retry the payout, which asks for the reversal again"
        }
        find(cur, payout, "transfer_not_reversed", _failure(outcome), step, AUTHOR)


def settle_recall(cur: Cursor, command: Command, outcome: Outcome) -> None:
    """This function will note what brings a paid payout back from the bank: it is reversed when that arrives. Where the
    bank does not give it, it stays paid."""
    payout = payout_of_command(cur, command)
    books = books_of(cur, payout)
    if isinstance(outcome, Succeeded):
        after = keep(cur, books, payout, noted(payout, recall=outcome.object_id), author=AUTHOR)
        if isinstance(outcome.view, PayoutView):
            told_back(cur, books, after, outcome.view, author=AUTHOR)
    elif isinstance(outcome, Refused):
        find(cur, payout, "payout_not_reversed", _failure(outcome), NOT_REVERSED, AUTHOR)


def doubt(cur: Cursor, command: Command) -> None:
    """This function will note that nobody knows whether a payout was sent: its money stays in transit until the
    processor was asked (S102)."""
    payout = payout_of_command(cur, command)
    if payout.state == PROCESSING:
        keep(cur, books_of(cur, payout), payout, moved(payout, UNKNOWN), author=AUTHOR)


def payout_of_command(cur: Cursor, command: Command) -> Payout:
    """This function will return the payout that a command is for. Raises NotFound."""
    name = command.business_key.split(":")[1]  # payout:<id>, recall:<id>:<attempt>
    return find_payout(cur, UUID(name), organization=command.organization)


def _certain(cur: Cursor, payout: Payout) -> Payout:
    """The payout in doubt that was found: it is processing again."""
    if payout.state != UNKNOWN:
        return payout
    return keep(cur, books_of(cur, payout), payout, moved(payout, PROCESSING), author=AUTHOR)


def _is_to_be_sent_on(payout: Payout) -> bool:
    """Whether its money is at the partner's account, and nothing is known to be on its way from there."""
    return payout.state in (PROCESSING, UNKNOWN) and payout.payout is None


def _not_sent(cur: Cursor, payout: Payout) -> None:
    """What hinders it holds it; others go on."""
    if payout.state == APPROVED:
        books = books_of(cur, payout)
        hold(cur, books, payout, _hindrance(cur, books, payout), author=AUTHOR)


def _not_sent_on(cur: Cursor, payout: Payout) -> None:
    """What is not to go from the partner's account to its bank comes back: the next payout is judged like any other."""
    if _is_to_be_sent_on(payout):
        books = books_of(cur, payout)
        found = _hindrance(cur, books, payout)
        failure = {"code": found.code, "message": found.note}
        come_back(cur, books, payout, FAILED, failure, author=AUTHOR)


def _hindrance(cur: Cursor, books: Books, payout: Payout) -> Hold:
    return hindered(cur, books, payout) or Hold(ACCOUNT, "It could not be sent.")


def _failure(outcome: Refused) -> dict[str, str]:
    return {"code": outcome.code, "message": outcome.message}

"""What the processor says of transfers, payouts and accounts: one operation for each, for webhooks, commands and
reconciliation alike. Each brings the payout to what the object is now, once (W1, W2)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.applied import APPLIED, FOREIGN, PARKED, UNCHANGED, Applied
from billing.rules.payments.views import AccountView, PayoutView, TransferView
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from ledger.operations.books import Books
from orgs.operations.facts import Author
from payouts.operations.partners import set_account
from payouts.operations.paying.machine import (
    books_of,
    bring_back,
    come_back,
    find,
    is_recall_open,
    keep,
    proceed,
    settled,
    take_back,
)
from payouts.queries.partners import find_partner, partner_of_account
from payouts.queries.payouts import find_payout, open_payout, payout_of_object
from payouts.rules.partners import Partner
from payouts.rules.paying.row import Payout, arrived, moved, noted
from payouts.rules.paying.states import FAILED, HELD, PAID, PROCESSING, REVERSED, UNKNOWN

_ON_ITS_WAY: Final = frozenset({"pending", "in_transit"})
_GONE: Final = frozenset({"failed", "canceled"})
NOT_REVERSED: Final = {"step": "ask the partner for it, or let later earnings make up for it"}
_STATUSES: Final = _ON_ITS_WAY | _GONE | {"paid"}


def apply_account(cur: Cursor, view: AccountView, *, author: Author) -> Applied:
    """This function will keep what a connected account may do now, and let a held payout of its partner go on, or wait,
    accordingly. It locks the partner."""
    partner = _partner_of(cur, view)
    if partner is None:
        return Applied(FOREIGN, "an account of no partner")
    if partner.stripe_account not in (None, view.id):
        return Applied(FOREIGN, "another account than the partner has")
    seen = set_account(cur, organization=partner.organization, view=view, author=author)
    waiting = open_payout(cur, partner.organization)
    if (
        waiting is not None
        and waiting.state == HELD
        and waiting.hold in ("account_not_ready", "destination_changed")
    ):
        proceed(cur, books_of(cur, waiting), waiting, author=author)
    return Applied(UNCHANGED if seen.version == partner.version else APPLIED, seen.status)


def account_is_gone(cur: Cursor, account: str, *, author: Author) -> Applied:
    """This function will note that an account lets us do nothing any more: its owner cut us off, or it was deleted."""
    partner = partner_of_account(cur, account)
    if partner is None:
        return Applied(FOREIGN, "an account of no partner")
    view = AccountView(
        id=account,
        country=partner.country or "",
        currency=partner.currency,
        payouts_enabled=False,
        charges_enabled=False,
        transfers_active=False,
        details_submitted=True,
        disabled_reason="deauthorized",
        external_account=partner.destination,
    )
    return apply_account(cur, view, author=author)


def apply_partner_payout(cur: Cursor, found: tuple[str, PayoutView], *, author: Author) -> Applied:
    """This function will bring a payout to what its object on the connected account (account, view) says. Payouts there
    that we did not ask for are no matter of ours."""
    account, view = found
    partner = partner_of_account(cur, account)
    payout = None if partner is None else _payout_of(cur, partner, view.id, view.metadata.get("payout"))
    if payout is None:
        return Applied(FOREIGN, "no payout of ours")
    books = books_of(cur, payout)
    payout = find_payout(cur, payout.id)
    if view.amount < 0 and payout.recall is None and is_recall_open(cur, payout):
        return Applied(PARKED, "its command has no outcome yet")
    if view.id == payout.recall:
        return told_back(cur, books, payout, view, author=author)
    if payout.transfer is None or payout.payout not in (None, view.id):
        return Applied(FOREIGN, "another payout than ours, with its name")
    return told(cur, books, payout, view, author=author)


def told(cur: Cursor, books: Books, payout: Payout, view: PayoutView, *, author: Author) -> Applied:
    """This function will bring a payout to what a view of it says. The caller holds the partner's lock and read the
    payout under it."""
    is_other = (view.amount, view.currency) != (payout.amount, payout.currency)
    if is_other or view.status not in _STATUSES or _is_paid_nevertheless(payout, view):
        detail = {"at_processor": view.amount, "in": view.currency, "status": view.status, "object": view.id}
        step = {"step": "look at the payout at the processor"}
        find(cur, payout, "payout_differs", detail, step, author)
        return Applied(PARKED, "not what was asked for")
    named = _named(payout, view)
    if view.status in _GONE:
        return _gone(cur, books, payout, view, author)
    if view.status == "paid" and payout.state in (PROCESSING, UNKNOWN):
        if payout.waits_for is not None:
            settled(cur, payout, "payout_waits", "It is paid.", author)
        after = moved(payout, PAID, **named, paid_at=books.now, ended_at=books.now)
        keep(cur, books, payout, after, arrived(payout), author=author)
        return Applied(APPLIED, PAID)
    if payout.state == UNKNOWN:
        keep(cur, books, payout, moved(payout, PROCESSING, **named), author=author)
        return Applied(APPLIED, PROCESSING)
    if any(getattr(payout, name) != value for name, value in named.items()) and payout.is_open:
        keep(cur, books, payout, noted(payout, **named), author=author)
        return Applied(APPLIED)
    return Applied(UNCHANGED)


def told_back(cur: Cursor, books: Books, payout: Payout, view: PayoutView, *, author: Author) -> Applied:
    """This function will reverse a paid payout when what brings it back from the bank has arrived: accepted is not yet
    there, and it may fail; then it can be asked for anew. The caller holds the partner's lock."""
    if (-view.amount, view.currency) != (payout.amount, payout.currency):
        detail = {"at_processor": view.amount, "in": view.currency, "status": view.status, "object": view.id}
        find(cur, payout, "payout_differs", detail, {"step": "look at the payout at the processor"}, author)
        return Applied(PARKED, "not what was asked for")
    if view.status in _GONE:
        find(cur, payout, "payout_not_reversed", _failure_of(view), NOT_REVERSED, author)
        keep(cur, books, payout, noted(payout, recall=None), author=author)
        return Applied(APPLIED, "not reversed")
    if view.status != "paid" or payout.state == REVERSED:
        return Applied(UNCHANGED)
    if payout.state == PAID:
        settled(cur, payout, "payout_not_reversed", "It came back.", author)
        come_back(cur, books, payout, REVERSED, None, author=author)
        return Applied(APPLIED, REVERSED)
    return Applied(UNCHANGED if take_back(cur, payout, author) is None else APPLIED)


def apply_transfer(cur: Cursor, view: TransferView, *, author: Author) -> Applied:
    """This function will book what of a payout's transfer came back. The transfer itself is booked by its command."""
    partner = partner_of_account(cur, view.destination)
    payout = None if partner is None else _payout_of(cur, partner, view.id, view.metadata.get("payout"))
    if payout is None:
        return Applied(FOREIGN, "no transfer of ours")
    books = books_of(cur, payout)
    payout = find_payout(cur, payout.id)
    if payout.transfer is None:
        return Applied(PARKED, "its command has no outcome yet")
    if (view.amount, view.currency) != (payout.amount, payout.currency) or payout.transfer != view.id:
        detail = {"at_processor": view.amount, "in": view.currency, "object": view.id}
        find(cur, payout, "transfer_differs", detail, {"step": "look at it at the processor"}, author)
        return Applied(PARKED, "not what was asked for")
    if view.reversals.keys() <= payout.reversals.keys():
        return Applied(UNCHANGED)
    bring_back(cur, books, payout, view.reversals, author=author)
    return Applied(APPLIED, "reversed")


def _is_paid_nevertheless(payout: Payout, view: PayoutView) -> bool:
    """Whether the bank gets what the partner was given back: an object that nobody found when it was looked for."""
    return payout.state == FAILED and (
        view.status == "paid" or (view.status in _ON_ITS_WAY and payout.payout != view.id)
    )


def _gone(cur: Cursor, books: Books, payout: Payout, view: PayoutView, author: Author) -> Applied:
    if payout.state not in (PROCESSING, UNKNOWN, PAID):
        return Applied(UNCHANGED)
    seen = payout
    if payout.payout is None:
        seen = keep(cur, books, payout, noted(payout, **_named(payout, view)), author=author)
    come_back(cur, books, seen, FAILED, _failure_of(view), author=author)
    return Applied(APPLIED, FAILED)


def _failure_of(view: PayoutView) -> dict[str, Any]:
    if view.failure is None:
        return {"code": view.status, "message": ""}
    return {name: text for name, text in asdict(view.failure).items() if name != "decline_code"}


def _named(payout: Payout, view: PayoutView) -> dict[str, Any]:
    return {"payout": view.id, "arrival": view.arrival, "waits_for": None, "next_at": None}


def _partner_of(cur: Cursor, view: AccountView) -> Partner | None:
    known = partner_of_account(cur, view.id)
    name = view.metadata.get("organization", "")
    return known if known is not None or not is_id(name) else find_partner(cur, UUID(name))


def _payout_of(cur: Cursor, partner: Partner, name: str, payout: str | None) -> Payout | None:
    """By the processor's id, or by ours in its metadata, where the command's answer never came."""
    found = payout_of_object(cur, name)
    if found is None and payout is not None and is_id(payout):
        try:
            found = find_payout(cur, UUID(payout), organization=partner.organization)
        except NotFound:
            return None
    if found is None or found.organization != partner.organization:
        return None
    return found

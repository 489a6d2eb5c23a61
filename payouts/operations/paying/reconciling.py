"""Transfers and payouts there and here, in both directions (S108): listed, compared by id, applied or found.

`list_transfers_there`, `list_payouts_there` and `list_here` say what there is; `compare` says what differs, purely;
`reconcile` does both and repairs what is safe, which is to apply an object as its event would. A nightly run may plug
in any of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing import stripe_gateway
from billing.operations.findings import open_finding
from billing.rules.payments.views import PayoutView, TransferView
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from payouts import stripe_gateway as connect
from payouts.operations.paying.applying import apply_partner_payout, apply_transfer
from payouts.queries.partners import partner_of_account
from payouts.queries.payouts import connected_accounts, find_payout, payout_of_object, payouts_between
from payouts.rules.paying.row import Payout
from payouts.rules.paying.states import FAILED, PAID, RETURNED

logger = logging.getLogger(__name__)

AUTHOR: Final = Author("system:payouts.reconcile")
_STATUSES: Final = {"paid": (PAID, "reversed"), "failed": (FAILED,), "canceled": (FAILED,)}


@dataclass(frozen=True, slots=True)
class There:
    """What the processor has: transfers, and payouts with the account that they are of."""

    transfers: list[TransferView] = field(default_factory=list)
    payouts: list[tuple[str, PayoutView]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Differences:
    """What is to be applied, what only the processor has under our name, and what only we have; `compared` objects of
    the processor in all."""

    transfers: list[TransferView]
    payouts: list[tuple[str, PayoutView]]
    unknown: list[tuple[str, str]]
    missing: list[tuple[str, Payout]]
    compared: int

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(each) for each in (self.transfers, self.payouts, self.unknown, self.missing))


def list_transfers_there(start: datetime, end: datetime) -> Iterator[TransferView]:
    """This function will give the transfers that the processor made in [start, end), outside of transactions."""
    return connect.list_transfers(created_from=start, created_to=end)


def list_payouts_there(
    accounts: Iterable[str], start: datetime, end: datetime
) -> Iterator[tuple[str, PayoutView]]:
    """This function will give (account, payout) of what partners' accounts were paid out in [start, end). An account
    that has cut us off tells nothing and keeps no other waiting."""
    for account in accounts:
        try:
            for view in connect.list_partner_payouts(account, created_from=start, created_to=end):
                yield account, view
        except (stripe_gateway.NotAtProcessor, stripe_gateway.ProcessorRejected) as error:
            logger.warning("payouts.account_refused", extra={"account": account, "error": str(error)})


def list_here(cur: Cursor, there: There, start: datetime, end: datetime) -> list[Payout]:
    """This function will return our payouts that were sent in [start, end), and those that the processor's objects are
    of, whenever they were sent."""
    found = {one.id: one for one in payouts_between(cur, start, end)}
    for name in [view.id for view in there.transfers] + [view.id for _, view in there.payouts]:
        one = payout_of_object(cur, name)
        if one is not None:
            found.setdefault(one.id, one)
    return list(found.values())


def with_unlisted(there: There, here: Iterable[Payout]) -> There:
    """This function will add what of our payouts the processor did not list, asked for by its id, outside of
    transactions: of a payout on the edge of the window one object was made before it, or after."""
    listed = {view.id for view in there.transfers} | {view.id for _, view in there.payouts}
    transfers, payouts = list(there.transfers), list(there.payouts)
    for row in here:
        try:
            if row.transfer is not None and row.transfer not in listed:
                transfers.append(connect.transfer(row.transfer))
            if row.payout is not None and row.payout not in listed and row.state not in RETURNED:
                payouts.append((row.account, connect.partner_payout(row.payout, account=row.account)))
        except (stripe_gateway.NotAtProcessor, stripe_gateway.ProcessorRejected) as error:
            logger.warning("payouts.not_there", extra={"payout": str(row.id), "error": str(error)})
    return There(transfers, payouts)


def compare(there: There, here: Iterable[Payout]) -> Differences:
    """This function will say what differs, by id, in both directions. It reads nothing and writes nothing."""
    rows = list(here)
    by_transfer = {row.transfer: row for row in rows if row.transfer is not None}
    by_payout = {row.payout: row for row in rows if row.payout is not None}
    by_recall = {row.recall: row for row in rows if row.recall is not None}
    by_id = {str(row.id): row for row in rows}
    transfers, payouts, unknown = [], [], []
    for view in there.transfers:
        row = by_transfer.get(view.id)
        if row is None and "payout" in view.metadata:
            unknown.append(("transfer_unknown", view.id))
        elif row is not None and (view.reversals.keys() - row.reversals.keys() or _is_other(view, row)):
            transfers.append(view)
    for account, paid in there.payouts:
        row = by_payout.get(paid.id)
        recalled = by_recall.get(paid.id)
        named = by_id.get(paid.metadata.get("payout", ""))
        if recalled is not None:
            payouts += [(account, paid)] if recalled.state == PAID and paid.status in _STATUSES else []
        elif row is None and named is not None and named.payout is None:
            payouts.append((account, paid))
        elif row is None and "payout" in paid.metadata and paid.amount > 0:
            unknown.append(("payout_unknown", paid.id))
        elif row is not None and (
            row.state not in _STATUSES.get(paid.status, (row.state,)) or _is_other(paid, row)
        ):
            payouts.append((account, paid))
    return Differences(
        transfers, payouts, unknown, _missing(there, rows), len(there.transfers) + len(there.payouts)
    )


def reconcile(start: datetime, end: datetime, *, author: Author = AUTHOR) -> Differences:
    """This function will compare what was made in [start, end), apply what differs, and open a finding for what only
    one side knows. It returns what it found; run again it finds only what a person must settle."""
    accounts = run_in_transaction(connected_accounts)
    there = There(list(list_transfers_there(start, end)), list(list_payouts_there(accounts, start, end)))
    here = run_in_transaction(lambda cur: list_here(cur, there, start, end))
    there = with_unlisted(there, here)
    found = compare(there, here)
    for view in found.transfers:
        _apply(apply_transfer, view, author)
    for paid in found.payouts:
        _apply(apply_partner_payout, paid, author)
    destinations = {view.id: view.destination for view in there.transfers}
    destinations |= {view.id: account for account, view in there.payouts}
    for kind, name in found.unknown:
        _find_unknown(kind, name, destinations[name], author)
    for kind, row in found.missing:
        _find_missing(kind, row.id, author)
    return found


def _is_other(view: TransferView | PayoutView, row: Payout) -> bool:
    return (view.amount, view.currency) != (row.amount, row.currency)


def _missing(there: There, rows: list[Payout]) -> list[tuple[str, Payout]]:
    """Of what was sent and has ids, what the processor does not know."""
    transfers = {view.id for view in there.transfers}
    payouts = {view.id for _, view in there.payouts}
    missing = [("transfer_missing", row) for row in rows if row.transfer and row.transfer not in transfers]
    return missing + [
        ("payout_missing", row)
        for row in rows
        if row.payout and row.payout not in payouts and row.state not in RETURNED
    ]


def _apply(operation: Any, view: Any, author: Author) -> None:
    run_in_transaction(lambda cur: operation(cur, view, author=author))


def _find_unknown(kind: str, name: str, account: str, author: Author) -> None:
    def find(cur: Cursor) -> None:
        partner = partner_of_account(cur, account)
        open_finding(
            cur,
            organization=None if partner is None else partner.organization,
            kind=kind,
            subject=f"{kind.partition('_')[0]}:{name}",
            detail={"object": name, "account": account},
            proposed={"step": "find out who made it; look at the commands of the partner"},
            author=author,
        )

    run_in_transaction(find)


def _find_missing(kind: str, payout: UUID, author: Author) -> None:
    def find(cur: Cursor) -> None:
        row = find_payout(cur, payout)
        open_finding(
            cur,
            organization=row.organization,
            kind=kind,
            subject=row.business_key,
            detail={
                "payout": str(row.id),
                "transfer": row.transfer,
                "at_bank": row.payout,
                "state": row.state,
            },
            proposed={"step": "look at the processor; another account's key, or a wrong window"},
            author=author,
        )

    run_in_transaction(find)

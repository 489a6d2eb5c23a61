"""The one place where dunning asks for money.

Who collects registers itself: dunning decides that a retry is due, the processor's side how it is made, and its outcome
comes back by `payment_failed` and `payment_settled`.
"""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

from events.store import Cursor
from orgs.operations.facts import Author


class Collector(Protocol):
    """Asks for the payment of an invoice in the caller's transaction, such as `request_collection` of the processor's
    side. Returns the payment that is under way after it, None where there is nothing to collect with."""

    def __call__(
        self, cur: Cursor, *, organization: UUID, invoice: UUID, cause: str, author: Author
    ) -> object | None: ...


CAUSE: Final = "dunning"
_collectors: list[Collector] = []


def register_collector(collector: Collector) -> Collector | None:
    """This function will have retries made by this one from now on, and return who made them before."""
    before = _collectors[0] if _collectors else None
    _collectors[:] = [collector]
    return before


def collect(cur: Cursor, *, organization: UUID, invoices: list[UUID], author: Author) -> list[UUID]:
    """This function will ask for the payment of each invoice, in the caller's transaction, and return those whose
    payment is under way now; the others have nothing to be collected with."""
    return [
        invoice
        for invoice in invoices
        for collector in _collectors
        if collector(cur, organization=organization, invoice=invoice, cause=CAUSE, author=author) is not None
    ]

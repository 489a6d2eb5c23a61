"""The one place where dunning asks for money.

Who collects registers itself: dunning decides that a retry is due, the processor's side how it is made, and its outcome
comes back by `payment_failed` and `payment_settled`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from billing.operations.dunning.recording import Turn
from billing.rules.dunning import machine
from billing.rules.dunning.machine import Action
from events.store import Cursor
from orgs.operations.facts import Author


class Asked(Protocol):
    """A payment that is under way: when it was asked for, by its organization's clock."""

    @property
    def created_at(self) -> datetime:
        """When."""
        ...


class Collector(Protocol):
    """Asks for the payment of an invoice in the caller's transaction, such as `collect_again` of the processor's side.
    Returns the payment that is under way then, also one from before; None where there is nothing to collect with."""

    def __call__(
        self, cur: Cursor, *, organization: UUID, invoice: UUID, cause: str, author: Author
    ) -> Asked | None: ...


CAUSE: Final = "dunning"
_collectors: list[Collector] = []


def register_collector(collector: Collector) -> Collector | None:
    """This function will have retries made by this one from now on, and return who made them before."""
    before = _collectors[0] if _collectors else None
    _collectors[:] = [collector]
    return before


def collect(cur: Cursor, *, organization: UUID, invoices: list[UUID], author: Author) -> dict[UUID, datetime]:
    """This function will ask for the payment of each invoice, in the caller's transaction, and return those whose
    payment is under way now, with when it was asked for; the others have nothing to be collected with."""
    found = {
        invoice: collector(cur, organization=organization, invoice=invoice, cause=CAUSE, author=author)
        for invoice in invoices
        for collector in _collectors
    }
    return {invoice: asked.created_at for invoice, asked in found.items() if asked is not None}


def ask(turn: Turn, action: Action | None) -> None:
    """Ask for everything that is unpaid in a case: by a step, or at once (None)."""
    wanted = [each.id for each in turn.unpaid() if each.status == "open" and each.is_ours]
    turn.forget()
    under_way = collect(turn.cur, organization=turn.locked.id, invoices=wanted, author=turn.author)
    turn.take(
        machine.asked(
            turn.case,
            under_way,
            now=turn.locked.now,
            trigger=turn.trigger,
            due_at=None if action is None else action.due_at,
            is_step=action is not None,
        )
    )

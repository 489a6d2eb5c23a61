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
    """Ask for everything that is unpaid in a case, by a step, or at once (None)."""
    under_way = _asked(turn)
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


def attempt(turn: Turn, action: Action) -> None:
    """Ask for what is unpaid in the currency of a campaign, unless that is of no use now: its next attempt."""
    under_way = {} if action.why is not None else _asked(turn, action.currency)
    turn.take(machine.attempted(turn.case, action, under_way, now=turn.locked.now, trigger=turn.trigger))


def collectable(turn: Turn, currency: str | None = None) -> list[UUID]:
    """Return the invoices of a case that are to be asked for: open and ours, of one currency or of all; by overdue
    balance only those of a currency that is at its threshold."""
    on = {each.currency for each in turn.case.campaigns}
    return [
        each.id
        for each in turn.unpaid()
        if each.status == "open"
        and each.is_ours
        and (each.currency in on or not turn.case.policy.is_by_balance)
        and currency in (None, each.currency)
    ]


def _asked(turn: Turn, currency: str | None = None) -> dict[UUID, datetime]:
    wanted = collectable(turn, currency)
    turn.forget()
    return collect(turn.cur, organization=turn.locked.id, invoices=wanted, author=turn.author)

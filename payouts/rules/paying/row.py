"""A payout's row and its facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from orgs.rules.facts import Fact, time_text
from payouts.rules.paying.states import (
    OPEN,
    PAID,
    REQUESTED,
    RETURNED,
    require_transition,
)

STREAM: Final = "partner_payout"
"""Not `payout`: so the processor calls its own, the platform's too."""
REQUEST, SCHEDULED, BATCH, PLATFORM_REQUEST = "request", "scheduled", "batch", "platform"
CAUSES: Final = (REQUEST, SCHEDULED, BATCH, PLATFORM_REQUEST)
BY_PLATFORM: Final = frozenset({BATCH, PLATFORM_REQUEST})
"""Asked for by whoever pays, who is therefore one of the two persons above the limit."""
MANUAL, REVIEW, ACCOUNT, DESTINATION = "manual", "review", "account_not_ready", "destination_changed"
NEGATIVE: Final = "negative_balance"
HOLDS: Final = (MANUAL, REVIEW, ACCOUNT, DESTINATION, NEGATIVE)
"""Why a payout is held: by hand, because the partner is under review, because its account takes no money now, because
its bank account is new, because what it pays was taken back meanwhile. The last three end by themselves."""
BY_ITSELF: Final = frozenset({ACCOUNT, DESTINATION, NEGATIVE})
RETRY_EVERY: Final = timedelta(minutes=15)
"""How often it is tried anew what the processor refused for want of money: it never does so by itself."""


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout; amounts in units. `hold`, `hold_note`: why it waits, `reviewed_by`: who let it go on after a review;
    `first_approved_by`: the first of two persons who approve what nobody stands behind; `waits_for`:
    balance_insufficient while the processor has too little; `next_at`: when it is looked at again. `destination`: the
    bank account that it was judged for. `transfer`, `payout`: the processor's ids; `sent_at`:
    when the transfer was made, by the processor's clock; `recall`: the payout there that
    brings it back from the bank, until that fails; `taken_back`: how much of the
    transfer was reversed, `reversals`: by which reversals, in units by the processor's ids."""

    id: UUID
    organization: UUID
    amount: int
    currency: str
    state: str
    cause: str
    requested_at: datetime
    requested_by: str
    account: str
    destination: str | None
    batch: UUID | None = None
    hold: str | None = None
    hold_note: str | None = None
    reviewed_by: str | None = None
    approved_at: datetime | None = None
    approved_by: str | None = None
    first_approved_by: str | None = None
    waits_for: str | None = None
    next_at: datetime | None = None
    transfer: str | None = None
    payout: str | None = None
    sent_at: datetime | None = None
    recall: str | None = None
    taken_back: int = 0
    arrival: datetime | None = None
    paid_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Mapping[str, Any] | None = None
    reversals: Mapping[str, int] = field(default_factory=dict)
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether its money is in transit."""
        return self.state in OPEN

    @property
    def is_taken_back(self) -> bool:
        """Whether nothing of it is left at the connected account by its transfer."""
        return self.transfer is None or self.taken_back >= self.amount

    @property
    def is_settled(self) -> bool:
        """Whether the partner may have another payout: this one reached the bank, or all of it came back."""
        return self.state == PAID or (self.state in RETURNED and self.is_taken_back)

    @property
    def business_key(self) -> str:
        """What its commands are named by."""
        return f"payout:{self.id}"


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a payout in the partner's books: its kind, its key, and its postings by kind of account."""

    kind: str
    key: str
    postings: Mapping[str, int]


def taken(payout: Payout) -> Step:
    """The money leaves what can be withdrawn, in the event that requests the payout (S101)."""
    amount = payout.amount
    return _step(payout, "payout_requested", {"partner_payable": -amount, "payout_in_transit": amount})


def transferred(payout: Payout) -> Step:
    """The processor moved it from the platform's balance to the partner's account there, which is `cash` here until
    the bank has it."""
    return _step(payout, "payout_transferred", {"processor_clearing": payout.amount, "cash": -payout.amount})


def arrived(payout: Payout) -> Step:
    """The bank has it: nothing is owed any more."""
    return _step(payout, "payout_paid", {"payout_in_transit": -payout.amount, "cash": payout.amount})


def given_back(payout: Payout) -> Step:
    """The partner can withdraw it again: out of transit, or, once it was paid, out of what the bank brought back."""
    if payout.state == PAID:
        return _step(payout, "payout_returned", {"partner_payable": payout.amount, "cash": -payout.amount})
    return _step(
        payout, "payout_returned", {"partner_payable": payout.amount, "payout_in_transit": -payout.amount}
    )


def brought_back(payout: Payout, total: int) -> Step:
    """The transfer was reversed up to so much: it is in the platform's balance again."""
    more = total - payout.taken_back
    step = _step(payout, "payout_transferred_back", {"processor_clearing": -more, "cash": more})
    return replace(step, key=f"{step.key}:{total}")


def _step(payout: Payout, kind: str, postings: Mapping[str, int]) -> Step:
    return Step(kind, f"{kind}:{payout.id}", postings)


def moved(payout: Payout, state: str, /, **changes: Any) -> Payout:
    """Return the payout in its next state. Raises InvalidTransition."""
    require_transition(payout.state, state)
    return replace(payout, state=state, version=payout.version + 1, **changes)


def noted(payout: Payout, /, **changes: Any) -> Payout:
    """Return the payout with more known of it, in the state it is in."""
    return replace(payout, version=payout.version + 1, **changes)


def verb_of(before: Payout | None, after: Payout) -> str:
    """Return what the event of a change is called: the state that it leads to, or `updated`."""
    if before is None:
        return REQUESTED
    return "updated" if before.state == after.state else after.state


def fact(payout: Payout, verb: str, *, at: datetime, **more: Any) -> Fact:
    """Return what happened: the payout's whole new row and the entries beside it."""
    data = {
        **{name: _plain(getattr(payout, name)) for name in COLUMNS},
        **{name: value for name, value in more.items() if value},
    }
    return Fact(payout.organization, STREAM, payout.id, payout.version, verb, data, at)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    return str(value) if isinstance(value, UUID) else value


COLUMNS: Final = tuple(
    one.name for one in fields(Payout) if one.name not in ("id", "organization", "version")
)

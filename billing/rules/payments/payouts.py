"""Payouts of the platform: its money on the way from the processor to the bank, as entries of its own books. Pure.

A payout leaves the processor's balance when it is made. `paid` is not final: it may fail days later, and comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.payments.views import PayoutView
from orgs.rules.facts import Fact, time_text

STATUSES: Final = ("pending", "in_transit", "paid", "canceled", "failed")
"""In the order in which they win."""
GONE: Final = frozenset({"canceled", "failed"})


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout's row; `in_transit` and `arrived` are units of it, `fee` what the processor kept for it."""

    id: UUID
    organization: UUID
    payout: str
    amount: int
    currency: str
    status: str
    in_transit: int
    arrived: int
    fee: int
    arrival: datetime
    created_at: datetime
    failure: Mapping[str, Any] | None
    version: int


@dataclass(frozen=True, slots=True)
class Step:
    """One entry: its effect key, and its postings by kind of account."""

    key: str
    postings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Moved:
    """The row after a view, and the entries that lead there."""

    payout: Payout
    steps: tuple[Step, ...]


_TIMES: Final = ("arrival", "created_at")
_APART: Final = frozenset({"id", "organization", "version", *_TIMES})
_PLAIN: Final = tuple(field.name for field in fields(Payout) if field.name not in _APART)


def payout_stream(name: str) -> UUID:
    """Return the id of a payout's stream."""
    return uuid5(NAMESPACE_OID, f"processor_payout:{name}")


def moved(known: Payout | None, view: PayoutView, *, platform: UUID) -> Moved | None:
    """Return what a view adds; None when it says nothing new or is older than what is known (W2)."""
    before = known or _new(view, platform)
    status = max(before.status, view.status, key=STATUSES.index)
    told = replace(
        before,
        status=status,
        failure=asdict(view.failure) if view.failure else before.failure,
        version=before.version + 1,
    )
    steps = tuple(_steps(before, told, view))
    after = replace(
        told,
        in_transit=before.in_transit - sum(step.postings.get("payout_in_transit", 0) for step in steps),
        arrived=before.arrived - sum(step.postings.get("cash", 0) for step in steps),
        fee=before.fee - sum(step.postings.get("processor_fees", 0) for step in steps),
    )
    is_news = known is None or steps or (after.status, after.failure) != (known.status, known.failure)
    return Moved(after, steps) if is_news else None


def _new(view: PayoutView, platform: UUID) -> Payout:
    return Payout(
        id=payout_stream(view.id),
        organization=platform,
        payout=view.id,
        amount=view.amount,
        currency=view.currency,
        status=view.status,
        in_transit=0,
        arrived=0,
        fee=0,
        arrival=view.arrival,
        created_at=view.created,
        failure=None,
        version=0,
    )


def _steps(before: Payout, told: Payout, view: PayoutView) -> Iterator[Step]:
    key, amount = f"payout:{view.id}", view.amount
    out = before.in_transit + before.arrived
    if told.status in GONE:
        if out:
            places = {"payout_in_transit": before.in_transit, "cash": before.arrived}
            back = {kind: units for kind, units in places.items() if units}
            yield Step(f"{key}:{told.status}", {"processor_clearing": -out, **back})
        return
    if not out and amount:
        yield Step(key, {"processor_clearing": amount, "payout_in_transit": -amount})
    if view.balance is not None and view.balance.fee and not before.fee:
        fee = view.balance.fee
        yield Step(f"{key}:fee", {"processor_clearing": fee, "processor_fees": -fee})
    if told.status == "paid" and not before.arrived and amount:
        yield Step(f"{key}:paid", {"payout_in_transit": amount, "cash": -amount})


def fact(payout: Payout, *, at: datetime, **more: Any) -> Fact:
    """Return what happened to a payout: its whole new row and the entries beside it."""
    data = {
        **{name: getattr(payout, name) for name in _PLAIN},
        **{name: time_text(getattr(payout, name)) for name in _TIMES},
        **{name: value for name, value in more.items() if value},
    }
    return Fact(payout.organization, "processor_payout", payout.id, payout.version, payout.status, data, at)

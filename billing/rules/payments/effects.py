"""Which effects the facts of a payment have that are not booked yet, each with its key, in one order. Pure (W1, S83).

An effect is booked once, for ever; its key names the object at the processor. What happened before the money came (a
refund that was heard of first) waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from billing.rules.payments.row import Payment

GONE = frozenset({"canceled", "failed"})


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect: the object it comes from, its key, what it is, and how much money came (< 0: went) and the processor
    kept. `object` is the processor's id of the refund, dispute or warning."""

    source: str
    key: str
    verb: str
    amount: int = 0
    fee: int = 0
    object: str | None = None


def pending_effects(payment: Payment, *, told: int = 0) -> list[Effect]:
    """Return what is to be booked now, in the order in which it is. `told`: what the processor says has come."""
    done = frozenset(payment.applied)
    return [effect for effect in _all(payment, told, done) if effect.key not in done]


def _all(payment: Payment, told: int, done: frozenset[str]) -> Iterator[Effect]:
    source = f"payment_intent:{payment.intent}"
    if told > payment.received:
        key = source if payment.received == 0 else f"{source}:{told}"
        yield Effect(source, key, "received", told - payment.received)
    for name, row in payment.balances.items():
        yield Effect(
            f"balance_transaction:{name}", f"balance_transaction:{name}", "fee_known", fee=row["fee"]
        )
    for name in payment.warnings:
        yield Effect(f"warning:{name}", f"warning:{name}", "warned", object=name)
    if max(told, payment.received) > 0:
        for name, row in _oldest_first(payment.refunds):
            yield from _of_refund(name, row, done)
        for name, row in _oldest_first(payment.disputes):
            yield from _of_dispute(name, row)


def _of_refund(name: str, row: Any, done: frozenset[str]) -> Iterator[Effect]:
    key = f"refund:{name}"
    if row["status"] in GONE:
        if key in done:
            yield Effect(key, f"{key}:failed", "refund_failed", row["amount"], object=name)
    elif row["status"] == "succeeded" or (row["status"] == "pending" and row["left"]):
        yield Effect(key, key, "refunded", -row["amount"], object=name)


def _of_dispute(name: str, row: Any) -> Iterator[Effect]:
    source = f"dispute:{name}"
    # Stored, the rows have no order, and their times are whole seconds: what was withdrawn comes before what came back.
    for number, part in sorted(row["rows"].items(), key=lambda one: (one[1]["amount"] < 0, one[0])):
        verb = "disputed" if part["amount"] >= 0 else "reinstated"
        yield Effect(source, f"{source}:{number}", verb, -part["amount"], part["fee"], name)
    if row["status"] == "lost":
        yield Effect(source, f"{source}:lost", "dispute_lost", object=name)


def _oldest_first(rows: Any) -> list[tuple[str, Any]]:
    return sorted(rows.items(), key=lambda one: (one[1]["created_at"], one[0]))


def refunded_of(payment: Payment) -> int:
    """Return what booked refunds took, less what came back of them."""
    done = frozenset(payment.applied)
    return sum(
        row["amount"]
        for name, row in payment.refunds.items()
        if f"refund:{name}" in done and f"refund:{name}:failed" not in done
    )


def disputed_of(payment: Payment, *, lost: bool = False) -> int:
    """Return what booked rows of disputes took, less what they brought back; of `lost` disputes alone."""
    done = frozenset(payment.applied)
    return sum(
        part["amount"]
        for name, row in payment.disputes.items()
        if not lost or f"dispute:{name}:lost" in done
        for number, part in row["rows"].items()
        if f"dispute:{name}:{number}" in done
    )

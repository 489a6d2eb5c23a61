"""Balance transactions: every movement of money is one, with its fee and the time at which it becomes available."""

from __future__ import annotations

from typing import Any

from sandbox.stripe.world import Body, Call, World, new_id

DISPUTE_FEE = 1500


def fee_of(world: World, amount: int) -> int:
    """Return what a payment costs: 2.9 % rounded half up, and 30."""
    return (amount * world.settings.fee_per_mille * 2 + 1000) // 2000 + world.settings.fee_fixed


def move(
    call: Call, *, amount: int, currency: str, type: str, category: str, source: str | None, fee: int = 0,
    available_on: int | None = None, description: str | None = None, **private: Any,
) -> Body:  # fmt: skip
    """Record a balance transaction; `available_on` in the future keeps it pending until then."""
    available_on = call.now if available_on is None else available_on
    is_pending = available_on > call.now
    details = {"amount": fee, "application": None, "currency": currency, "description": "Stripe processing fees",
               "type": "stripe_fee"}  # fmt: skip
    moved = call.add({
        "id": new_id("txn"), "object": "balance_transaction", "amount": amount, "available_on": available_on,
        "balance_type": "payments", "created": call.now, "currency": currency, "description": description,
        "exchange_rate": None, "fee": fee, "fee_details": [details] if fee else [], "net": amount - fee,
        "reporting_category": category, "source": source, "status": "pending" if is_pending else "available",
        "type": type, **private,
    })  # fmt: skip
    _add_funds(
        call, currency, available=0 if is_pending else amount - fee, pending=amount - fee if is_pending else 0
    )
    if is_pending:
        call.world.later(available_on, "available", account=call.account, subject=moved["id"])
    return moved


def _add_funds(call: Call, currency: str, *, available: int = 0, pending: int = 0) -> None:
    call.world.store.db.execute(
        "INSERT INTO funds VALUES (?, ?, ?, ?) ON CONFLICT (account, currency) DO UPDATE SET "
        "available = available + excluded.available, pending = pending + excluded.pending",
        (call.account, currency, available, pending),
    )


def funds(call: Call) -> dict[str, tuple[int, int]]:
    """Return currency -> (available, pending) of the call's account."""
    rows = call.world.store.db.execute(
        "SELECT currency, available, pending FROM funds WHERE account = ? ORDER BY currency", (call.account,)
    )
    return {currency: (available, pending) for currency, available, pending in rows}


def available(call: Call, currency: str) -> int:
    """Return what may be paid out or transferred now, in minor units."""
    return funds(call).get(currency, (0, 0))[0]


def become_available(call: Call, subject: str) -> None:
    """A pending movement has become available."""
    moved = call.find(subject)
    if moved is None or moved["status"] == "available":
        return
    call.world.store.save({**moved, "status": "available"})
    _add_funds(call, moved["currency"], available=moved["net"], pending=-moved["net"])
    call.world.tell("available", account=call.account or None, object=subject)

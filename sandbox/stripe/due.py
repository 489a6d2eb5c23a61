"""What falls due by the simulated clock, done in order, each at its own time."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.stripe import paying
from sandbox.stripe.money import become_available
from sandbox.stripe.resources import invoices, payouts, refunds
from sandbox.stripe.world import Body, Call, World

KEPT_KEYS_SECONDS = 86_400
_DOERS: dict[str, Callable[[Call, str], None]] = {
    "available": become_available,
    "payment_succeeded": invoices.debit_succeeded,
    "payment_failed": invoices.debit_failed,
    "fee": paying.fee_is_known,
    "refund_succeeded": refunds.refund_succeeded,
    "refund_failed": refunds.refund_failed,
    "payout_leaves": payouts.payout_leaves,
    "payout_arrives": payouts.payout_arrives,
}
_NEXT = "SELECT seq, at, what, account, subject FROM due WHERE at <= ? ORDER BY at, seq LIMIT 1"


def do_due(world: World) -> None:
    """Do everything that is due by now. Inside a transaction."""
    now = world.clock.now()
    while (row := world.store.db.execute(_NEXT, (now,)).fetchone()) is not None:
        seq, at, what, account, subject = row
        world.store.db.execute("DELETE FROM due WHERE seq = ?", (seq,))
        frozen, world.clock.frozen = world.clock.frozen, at
        try:
            _DOERS[what](Call(world, account), subject)
        finally:
            world.clock.frozen = frozen
    world.store.db.execute("DELETE FROM answers WHERE created <= ?", (now - KEPT_KEYS_SECONDS,))


def advance(world: World, *, to: float) -> list[Body]:
    """Move the clock forward; returns what happened, in order. A clock never goes back."""
    world.clock.offset += max(0.0, to - world.clock.now())
    world.store.keep("clock_offset", world.clock.offset)
    world.told = []
    try:
        do_due(world)
        return world.told
    finally:
        world.told = None
        world.wake()

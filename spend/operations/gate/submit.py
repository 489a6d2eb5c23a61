"""From a process's callers to the gate: one at a time per idempotency key, each with a connection of the pool."""

import threading
import time
from collections.abc import Sequence
from uuid import UUID

from common.errors import GateUnavailable, IdempotencyInFlight
from spend.operations.gate.apply import Expire
from spend.operations.gate.pool import GATE, gate_connection, pool
from spend.rules.commands import Command
from spend.rules.effects import Answer

WAIT_SECONDS = 2.0
_in_flight: set[tuple[UUID, str]] = set()
_changed = threading.Condition()


def submit(commands: Sequence[Command | Expire]) -> list[Answer]:
    """This function will have the commands decided in one transaction and return their answers, in order.

    A key that is in flight in this process is waited for up to 2 s. Raises IdempotencyInFlight after that and
    GateUnavailable when the database cannot be asked.
    """
    keys = {(c.organization, c.key.key) for c in commands if c.key is not None}
    _enter(keys)
    try:
        with gate_connection() as connection:
            return GATE.apply(connection, commands)
    except GateUnavailable:
        pool().check()  # broken connections are replaced now, not at the next caller's expense
        raise
    finally:
        with _changed:
            _in_flight.difference_update(keys)
            _changed.notify_all()


def _enter(keys: set[tuple[UUID, str]]) -> None:
    if not keys:
        return
    deadline = time.monotonic() + WAIT_SECONDS
    with _changed:
        while keys & _in_flight:
            rest = deadline - time.monotonic()
            if rest <= 0 or not _changed.wait(rest):
                raise IdempotencyInFlight(retry_after=1)
        _in_flight.update(keys)

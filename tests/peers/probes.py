"""Five questions beside the speed. What a peer does is written down as it was seen; a verdict needs no opinion."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.lifecycle import fresh_name
from tests.peers.drivers.base import UNITS_OF_A_CALL
from tests.peers.loads import Sizes
from tests.peers.targets import Running
from tests.peers.workers import PeerFailed

CLIENTS, KILL_CLIENTS, FILL_CLIENTS = 64, 8, 16


def probe(target: Running, sizes: Sizes, *, may_kill: bool) -> dict[str, Any]:
    """All probes of a target whose schema is there; one that fails is told and does not end the others."""
    probes: dict[str, Callable[[], Any]] = {
        "admission": lambda: _admission(target, sizes, work_seconds=0),
        "admission_with_work": lambda: _admission(target, sizes, work_seconds=sizes.work_seconds),
        "expiry": lambda: _fresh(target, "expiry"),
        "replay": lambda: _fresh(target, "replay"),
        "growth": lambda: _growth(target, sizes),
    }
    if may_kill:
        probes["kill"] = lambda: _kill(target, sizes)
    found: dict[str, Any] = {"info": target.worker.ask("info")}
    for name, work in probes.items():
        try:
            found[name] = work()
        except PeerFailed as error:
            found[name] = {"failed": str(error)}
            target.stop_workers()
    return found


def _wallet(target: Running, units: int) -> str:
    name = f"probe-{fresh_name()}"
    target.open_wallets([name], units)
    return name


def _fresh(target: Running, order: str) -> Any:
    wallet = _wallet(target, UNITS_OF_A_CALL * 10)
    return target.worker.ask(order, wallet=wallet)


def _admission(target: Running, sizes: Sizes, *, work_seconds: float) -> dict[str, Any]:
    """A wallet with room for exactly so many calls, and three times as many attempts at once."""
    wallet = _wallet(target, UNITS_OF_A_CALL * sizes.room)
    found: dict[str, Any] = target.worker.ask(
        "admission", wallet=wallet, clients=CLIENTS, attempts=sizes.room * 3, work_seconds=work_seconds,
        tag=fresh_name(),
    )  # fmt: skip
    admitted, errors = found.get("admitted", 0), sum(found["errors"].values())
    return {
        "room": sizes.room,
        "admitted": admitted,
        "charges": found["charges"],
        "left": found["available"] // UNITS_OF_A_CALL,
        "overspend": max(0, found["charges"] - sizes.room),
        "work_unpaid": found.get("admitted_but_refused_later", 0),
        # With three attempts for each place every place must be taken; an error is no refusal.
        "false_refusals": max(0, sizes.room - admitted - errors),
        "errors": found["errors"],
    }


def _growth(target: Running, sizes: Sizes) -> dict[str, Any]:
    """What a lifecycle costs at first, and when the wallet has that many charges."""
    wallet = _wallet(target, 10**12)
    _cost(target, wallet)  # connections and statements
    first = _cost(target, wallet)
    begun = time.monotonic()
    filled = target.worker.ask(
        "fill", wallet=wallet, rows=sizes.rows, seconds=sizes.fill_seconds, clients=FILL_CLIENTS,
        tag=fresh_name(),
    )  # fmt: skip
    taken = time.monotonic() - begun
    last = _cost(target, wallet)
    return {
        "first": first, "last": last, "fill_seconds": round(taken, 1), "errors": filled["errors"],
        "lifecycle_ratio": round(last["lifecycle_ms"] / first["lifecycle_ms"], 3),
        "balance_ratio": round(last["balance_ms"] / first["balance_ms"], 3),
    }  # fmt: skip


def _cost(target: Running, wallet: str) -> dict[str, float]:
    found: dict[str, float] = target.worker.ask("cost", wallet=wallet, count=40, tag=fresh_name())
    return {name: round(value, 4) for name, value in found.items()}


def _kill(target: Running, sizes: Sizes) -> dict[str, Any]:
    """SIGKILL the store in the middle of a load; a store inside the process dies with the process."""
    wallet = _wallet(target, 10**12)
    path = Path(target.folder) / f"acknowledged-{target.target.name}"
    path.unlink(missing_ok=True)
    worker = target.worker
    worker.begin(
        "acknowledge", wallet=wallet, clients=KILL_CLIENTS, seconds=sizes.kill_after + 10, path=str(path),
        tag=fresh_name(),
    )  # fmt: skip
    time.sleep(sizes.kill_after)
    if "file" in target.store.settings:
        worker.kill()
        target.workers = []
    else:
        target.store.kill()
        worker.end()
        target.store.restart()
    acknowledged = os.path.getsize(path)
    target.restart_workers([wallet])
    booked = target.worker.ask("charges", wallet=wallet)
    return {
        "acknowledged": acknowledged,
        "booked": booked,
        "lost": max(0, acknowledged - booked),
        # A call in flight may be booked without having been answered: at most one for each client.
        "booked_unanswered": max(0, booked - acknowledged),
        "clients": KILL_CLIENTS,
    }

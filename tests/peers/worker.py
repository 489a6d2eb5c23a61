"""`python -m tests.peers.worker MODULE`: one peer in its own environment. Orders on stdin, answers on stdout, as JSON.

The first line is the peer's settings. An order names a function of this module and its arguments.
"""

import importlib
import json
import os
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.peers.drivers.base import UNITS_OF_A_CALL as UNITS
from tests.peers.drivers.base import Driver, Refused

TTL_SECONDS = 600
MANY_ERRORS = 200


class Tally:
    """What the threads of one order have seen."""

    def __init__(self) -> None:
        self.calls: list[float] = []
        self.lifecycles = 0
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def failed(self, error: BaseException) -> None:
        """Note a call that neither went through nor was refused."""
        self.errors[f"{type(error).__name__}: {error}"[:120]] += 1

    def as_json(self) -> dict[str, Any]:
        """What the orchestrator is told."""
        return {
            "calls": self.calls, "lifecycles": self.lifecycles, "errors": dict(self.errors), **self.counts,
        }  # fmt: skip


def lifecycle(driver: Driver, wallet: str, key: str) -> list[float]:
    """Reserve and commit, or charge; returns what each call took."""
    begun = time.perf_counter()
    if not driver.has_holds:
        driver.charge(wallet, UNITS, key)
        return [time.perf_counter() - begun]
    hold = driver.reserve(wallet, UNITS, f"r-{key}", TTL_SECONDS)
    between = time.perf_counter()
    driver.commit(wallet, hold, UNITS, f"c-{key}")
    return [between - begun, time.perf_counter() - between]


def in_threads(driver: Driver, clients: int, work: Callable[[int], None]) -> None:
    """Run the work in that many threads, all started together."""
    barrier = threading.Barrier(clients)

    def run(place: int) -> None:
        try:
            barrier.wait()
            work(place)
        finally:
            driver.thread_ends()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def info(driver: Driver) -> dict[str, Any]:
    """What the peer has and lacks."""
    return {"has_holds": driver.has_holds, "has_keys": driver.has_keys, "lacks": list(driver.lacks)}


def install(driver: Driver) -> None:
    """Make the schema."""
    driver.install()


def open_wallets(driver: Driver, names: list[str], units: int) -> None:
    """Make wallets."""
    driver.open_wallets(names, units)


def find_wallets(driver: Driver, names: list[str]) -> None:
    """Look up wallets that another process has made."""
    driver.find_wallets(names)


def load(
    driver: Driver, wallets: list[str], clients: int, seconds: float, at: float, tag: str
) -> dict[str, Any]:
    """Lifecycles in a closed loop from the moment `at` on."""
    tally = Tally()
    until = at + seconds

    def work(place: int) -> None:
        chance = random.Random(f"{tag}-{place}")
        time.sleep(max(0.0, at - time.time()))
        number = 0
        while time.time() < until and tally.errors.total() < MANY_ERRORS:
            number += 1
            try:
                tally.calls.extend(lifecycle(driver, chance.choice(wallets), f"{tag}-{place}-{number}"))
            except Refused:
                tally.counts["refused"] += 1
            except Exception as error:
                tally.failed(error)
            else:
                tally.lifecycles += 1

    cpu = time.process_time()
    in_threads(driver, clients, work)
    return {**tally.as_json(), "seconds": time.time() - at, "cpu": time.process_time() - cpu}


def admission(
    driver: Driver, wallet: str, clients: int, attempts: int, work_seconds: float, tag: str
) -> dict[str, Any]:
    """Ask, do the work, record it: how many were let in, how many were recorded.

    Without holds and without work the charge itself is the question.
    """
    tally = Tally()

    def let_in(key: str) -> str:
        if driver.has_holds:
            return driver.reserve(wallet, UNITS, f"r-{key}", TTL_SECONDS)
        if work_seconds:
            driver.admit(wallet, UNITS)
        else:
            driver.charge(wallet, UNITS, key)
        return ""

    def once(key: str) -> None:
        try:
            hold = let_in(key)
        except Refused:
            tally.counts["refused"] += 1
            return
        tally.counts["admitted"] += 1
        time.sleep(work_seconds)
        if not driver.has_holds and not work_seconds:
            return  # the charge was the question
        try:
            if driver.has_holds:
                driver.commit(wallet, hold, UNITS, f"c-{key}")
            else:
                driver.charge(wallet, UNITS, key)
        except Refused:
            tally.counts["admitted_but_refused_later"] += 1

    def work(place: int) -> None:
        for number in range(-(-attempts // clients)):
            try:
                once(f"{tag}-{place}-{number}")
            except Exception as error:
                tally.failed(error)

    in_threads(driver, clients, work)
    return {
        **tally.as_json(), "calls": [], "charges": driver.charges(wallet), "available": driver.available(wallet),
    }  # fmt: skip


def seen(call: Callable[[], Any]) -> str:
    """What came of a call, in words."""
    try:
        found = call()
    except Exception as error:
        return f"{type(error).__name__}{f' ({error})' if isinstance(error, Refused) and str(error) else ''}"
    return "accepted" if found is None else str(found)


def expiry(driver: Driver, wallet: str) -> dict[str, Any]:
    """Hold everything for a second, wait, and reserve it again, with nothing running in the background."""
    if not driver.has_holds:
        return {"seen": "no holds"}
    everything = driver.available(wallet)
    driver.reserve(wallet, everything, "e-1", 1)
    during = seen(lambda: _nothing(driver.reserve(wallet, UNITS, "e-2", 1)))
    time.sleep(1.7)
    again = seen(lambda: _nothing(driver.reserve(wallet, everything, "e-3", 1)))
    return {"while held": during, "after expiry": "granted" if again == "accepted" else again}


def _nothing(_: Any) -> None:
    """Leave an answer out of what is said."""


def replay(driver: Driver, wallet: str) -> dict[str, Any]:
    """The same key again: before the commit, after it, after expiry; and eight times at once."""
    if not driver.has_keys:
        return {"seen": "no keys"}
    if not driver.has_holds:
        return _replayed_charges(driver, wallet)
    start = driver.available(wallet)
    first = driver.reserve(wallet, UNITS, "k-1", TTL_SECONDS)
    again = seen(lambda: driver.reserve(wallet, UNITS, "k-1", TTL_SECONDS))
    found: dict[str, Any] = {
        "before commit": "the same hold" if again == first else again,
        "held after both": start - driver.available(wallet),
    }
    driver.commit(wallet, first, UNITS, "k-2")
    found["commit again"] = seen(lambda: driver.commit(wallet, first, UNITS, "k-2"))
    after = seen(lambda: driver.reserve(wallet, UNITS, "k-1", TTL_SECONDS))
    found["reserve again after commit"] = "the same answer" if after == first else after
    found["taken after all"] = start - driver.available(wallet)
    brief = driver.reserve(wallet, UNITS, "k-3", 1)
    time.sleep(1.7)
    late = seen(lambda: driver.reserve(wallet, UNITS, "k-3", 1))
    found["reserve again after expiry"] = "the same answer" if late == brief else late
    found["late commit"] = seen(lambda: driver.commit(wallet, brief, UNITS, "k-4"))
    found["charges"] = driver.charges(wallet)
    found["at once"] = _at_once(driver, wallet, lambda: driver.reserve(wallet, UNITS, "k-5", TTL_SECONDS))
    return found


def _replayed_charges(driver: Driver, wallet: str) -> dict[str, Any]:
    driver.charge(wallet, UNITS, "k-1")
    again = seen(lambda: driver.charge(wallet, UNITS, "k-1"))
    charges = driver.charges(wallet)
    return {
        "again": again,
        "charges after both": charges,
        "at once": _at_once(driver, wallet, lambda: driver.charge(wallet, UNITS, "k-5")),
    }


def _at_once(driver: Driver, wallet: str, call: Callable[[], Any]) -> str:
    """Eight calls with one key at the same moment: how many effects."""
    start, told = driver.available(wallet), Counter[str]()

    def work(_: int) -> None:
        told["accepted" if not _is_error(call) else "told to try again"] += 1

    in_threads(driver, 8, work)
    return f"{(start - driver.available(wallet)) / UNITS:g} effect, {dict(told)}"


def _is_error(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Exception:
        return True
    return False


def acknowledge(
    driver: Driver, wallet: str, clients: int, seconds: float, path: str, tag: str
) -> dict[str, Any]:
    """Lifecycles until the store is gone or the time is over; each that was acknowledged is a byte in the file."""
    tally = Tally()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    until = time.time() + seconds

    def work(place: int) -> None:
        number = 0
        while time.time() < until:
            number += 1
            try:
                lifecycle(driver, wallet, f"{tag}-{place}-{number}")
            except Exception as error:
                tally.failed(error)
                return
            os.write(file, b".")

    in_threads(driver, clients, work)
    os.close(file)
    return {"errors": dict(tally.errors)}


def charges(driver: Driver, wallet: str) -> int:
    """How many charges are booked."""
    return driver.charges(wallet)


def cost(driver: Driver, wallet: str, count: int, tag: str) -> dict[str, float]:
    """Medians of a lifecycle and of a look at what is available, one caller."""
    lifecycles, looks = [], []
    for number in range(count):
        lifecycles.append(sum(lifecycle(driver, wallet, f"{tag}-{number}")))
        begun = time.perf_counter()
        driver.available(wallet)
        looks.append(time.perf_counter() - begun)
    return {
        "lifecycle_ms": statistics.median(lifecycles) * 1e3, "balance_ms": statistics.median(looks) * 1e3,
        "charges": driver.charges(wallet),
    }  # fmt: skip


def fill(driver: Driver, wallet: str, rows: int, seconds: float, clients: int, tag: str) -> dict[str, Any]:
    """Lifecycles until the wallet has that many charges, or the time is over."""
    tally = Tally()
    until = time.time() + seconds
    guard = threading.Lock()
    left = iter(range(rows))

    def work(place: int) -> None:
        while time.time() < until:
            with guard:
                number = next(left, None)
            if number is None:
                return
            try:
                lifecycle(driver, wallet, f"{tag}-{number}")
            except Exception as error:
                tally.failed(error)

    in_threads(driver, clients, work)
    return {"errors": dict(tally.errors)}


ORDERS: dict[str, Callable[..., Any]] = {
    order.__name__: order
    for order in (
        info, install, open_wallets, find_wallets, load, admission, expiry, replay, acknowledge, charges,
        cost, fill,
    )
}  # fmt: skip


def main() -> None:
    """Serve orders until stdin ends. What a peer prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    settings = json.loads(sys.stdin.readline())
    driver: Driver = importlib.import_module(f"tests.peers.drivers.{sys.argv[1]}").Peer(settings)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"answer": ORDERS[order.pop("order")](driver, **order)}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    driver.close()


if __name__ == "__main__":
    main()

"""Stripe's signed events: accepted per second through the real servers, and worked on per second with their effects.

What is worked on are payments at the simulator, which runs on the same processors: each is fetched over HTTP by the
real SDK, settled in the books and marked, two workers at once, ten objects a job, as in the product.
"""

import http.client
import json
import multiprocessing
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from statistics import quantiles
from typing import Any, Final

import stripe
from django.conf import settings
from django.db import connections

from common.transactions import run_in_transaction
from sandbox.places import free_port
from tests.bench.cpu import own_seconds, tree_seconds
from tests.bench.place import Place
from tests.bench.web import Web
from tests.builders.payments import asked
from tests.builders.signing import SECRET, signed
from tests.builders.stripe import KEY
from tests.servers import serving, stripe_spec
from webhooks.operations.inbound.claiming import offer_subjects
from webhooks.operations.inbound.processing import BATCH, process_subjects
from webhooks.operations.inbound.storing import Arrived, store_events
from webhooks.rules.inbound.judging import PLATFORM
from webhooks.rules.inbound.reading import read_event

SENDERS: Final = 16
WORKERS: Final = 2
CUSTOMERS: Final = 20
CENT: Final = 10**6


class Accepting:
    """Signed deliveries by SENDERS at once, each another event of two kilobytes."""

    name = "webhooks.accepted"
    against: tuple[str, ...] = ("floor.spread.16",)

    def __init__(self, place: Place, web: Web) -> None:
        self.web = web
        self.pids = {**web.pids, "postgres": place.postmaster}

    def run(self, seconds: float) -> dict[str, float]:
        until = time.perf_counter() + seconds
        taken: list[list[float]] = [[] for _ in range(SENDERS)]
        threads = [threading.Thread(target=self._send, args=(until, each)) for each in taken]
        meter = _Meter(self.pids)
        client, begun = own_seconds(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [each * 1_000 for share in taken for each in share]
        used = {**meter.used(), "client": own_seconds() - client}
        rate = len(found) / (time.perf_counter() - begun)
        cuts = quantiles(found, n=100)
        return {
            "webhooks.accepted_per_s": rate,
            "webhooks.accept_p50_ms": cuts[49],
            "webhooks.accept_p99_ms": cuts[98],
            **_parts("webhooks.accept", used, len(found)),
        }

    def _send(self, until: float, taken: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        while time.perf_counter() < until:
            body = _event(f"pi_{secrets.token_hex(12)}")
            headers = {"Content-Type": "application/json", "Stripe-Signature": _header(body)}
            begun = time.perf_counter()
            connection.request("POST", "/webhooks/stripe/", body, headers)
            answer = connection.getresponse()
            answer.read()
            taken.append(time.perf_counter() - begun)
            if answer.status != 200:
                raise RuntimeError(f"a delivery was answered {answer.status}")
        connection.close()


class Processing:
    """Payments at a simulator of its own, whose events are worked on by two processes."""

    def __init__(self, place: Place, make_customer: Callable[[], Any]) -> None:
        self._stack = ExitStack()
        address, folder = f"http://127.0.0.1:{free_port()}", place.folder
        spec = stripe_spec(address, folder / "stripe", checks=False)
        child = self._stack.enter_context(serving(spec, folder=folder / "log"))
        assert child.process is not None
        self.pids = {"postgres": place.postmaster, "stripe": child.process.pid}
        settings.STRIPE_API_KEY, settings.STRIPE_API_BASE = KEY, address
        self.api = stripe.StripeClient(KEY, base_addresses={"api": address})
        self.customers = [make_customer() for _ in range(CUSTOMERS)]
        self.close: Callable[[], None] = self._stack.close

    def run(self, payments: int) -> dict[str, float]:
        """How many events of payments are worked on in a second, and the CPU that each takes."""
        arrived = [self._paid(number) for number in range(payments)]
        run_in_transaction(
            lambda cur: cur.execute("UPDATE stripe_events SET next_at = NULL, state = 'ignored'")
        )
        run_in_transaction(lambda cur: store_events(cur, arrived))
        subjects = run_in_transaction(lambda cur: offer_subjects(cur, limit=payments))
        jobs = [subjects[start : start + BATCH] for start in range(0, len(subjects), BATCH)]
        connections.close_all()
        connections["default"].close_pool()  # type: ignore[attr-defined]  # no process has another's connections
        with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
            list(pool.map(_warm, range(WORKERS)))
            meter, begun = _Meter(self.pids), time.perf_counter()
            found = list(pool.map(_work, jobs))
            seconds, used = time.perf_counter() - begun, meter.used()
        done = sum(count for count, _ in found)
        assert done == payments and _applied() == payments, (done, _applied())
        used["worker"] = sum(cpu for _, cpu in found)
        return {"webhooks.processed_per_s": payments / seconds, **_parts("webhooks.process", used, payments)}

    def _paid(self, number: int) -> Arrived:
        payment = asked(self.customers[number % CUSTOMERS], 1_000 * CENT)
        made = self.api.v1.payment_intents.create(
            {
                "amount": 1_000,
                "currency": "usd",
                "payment_method": "pm_card_visa",
                "confirm": True,
                "metadata": {"payment": str(payment.payment), "organization": str(payment.organization)},
            }
        )
        body = _event(made.id)
        return Arrived(read_event(body), body, PLATFORM, "delivery", 0)


class _Meter:
    """CPU that processes use from now on."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._before = {name: (pid, tree_seconds(pid)) for name, pid in pids.items()}

    def used(self) -> dict[str, float]:
        """Seconds so far, by name."""
        return {name: tree_seconds(pid) - before for name, (pid, before) in self._before.items()}


def _parts(name: str, used: Mapping[str, float], events: int) -> dict[str, float]:
    """Microseconds of CPU for each event, by process and together."""
    parts = {f"{name}.{process}_cpu_us": seconds / events * 1e6 for process, seconds in used.items()}
    return {**parts, f"{name}.cpu_us": sum(parts.values())}


def _work(subjects: list[str]) -> tuple[int, float]:
    """How many objects were worked on, and the CPU seconds that this process took for them."""
    before = own_seconds()
    return process_subjects(subjects), own_seconds() - before


def _applied() -> int:
    statement = (
        "SELECT count(*) FROM stripe_events WHERE state = 'applied' AND reason = 'applied' AND attempts = 0"
    )
    row = run_in_transaction(
        lambda cur: cur.execute(statement + " AND next_at IS NULL AND kind = 'payment'").fetchone()
    )
    return 0 if row is None else int(row[0])


def _warm(_: int) -> None:
    """A worker has a connection."""
    run_in_transaction(lambda cur: cur.execute("SELECT 1"))


def _event(payment: str) -> bytes:
    about = {"id": payment, "object": "payment_intent", "description": "x" * 1_500}
    value = {
        "id": f"evt_{secrets.token_hex(12)}", "object": "event", "type": "payment_intent.succeeded",
        "api_version": "2026-10-28.endive", "created": int(time.time()), "livemode": False, "data": {"object": about},
    }  # fmt: skip
    return json.dumps(value).encode()


def _header(body: bytes) -> str:
    return signed(body, at=int(time.time()), secret=SECRET)

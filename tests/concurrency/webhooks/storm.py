"""What customers do at the processor, and its events in a storm: each many times, in any order, by many senders, while
workers are killed."""

import http.client
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import stripe

from common.transactions import run_in_transaction
from tests.builders.deliveries import PLATFORM
from tests.builders.processor import Payer, header, listed, payer
from tests.builders.stripe import Simulator
from tests.concurrency.webhooks.working import work
from webhooks.operations.inbound.processing import process_due

SENDERS = 16
WORKERS = 2
_OPEN = "SELECT count(*) FROM stripe_events WHERE state IN ('received', 'processing')"


def live(who: Payer, payments: int) -> None:
    """That many payments and what becomes of them, the same for every customer."""
    for number in range(payments):
        LIVES[number % len(LIVES)](who, 1_000 + 37 * number)
    who.simulator.advance(3_600)


def _plain(who: Payer, cents: int) -> None:
    who.pay(cents)


def _refunded(who: Payer, cents: int) -> None:
    who.simulator.refund(who.pay(cents).latest_charge, cents // 3)
    who.pay(cents)


def _refunded_twice(who: Payer, cents: int) -> None:
    intent = who.pay(cents)
    for part in (cents // 4, cents // 5):
        who.simulator.sdk().v1.refunds.create({"payment_intent": intent.id, "amount": part})


def _declined_first(who: Payer, cents: int) -> None:
    payment = who.ask(cents)
    with suppress(stripe.CardError):
        who.pay(cents, "pm_card_visa_chargeDeclined", payment=payment)
    who.pay(cents, payment=payment)


def _disputed(who: Payer, cents: int) -> None:
    dispute = who.simulator.dispute(who.pay(cents).latest_charge)
    who.simulator.close_dispute(dispute["id"], "won" if cents % 2 else "lost")


def _warned(who: Payer, cents: int) -> None:
    who.simulator.warn(who.pay(cents).latest_charge)


def _late_fee(who: Payer, cents: int) -> None:
    who.simulator.next_payment(who.customer, "fee_later")
    who.pay(cents)


LIVES: tuple[Callable[[Payer, int], None], ...] = (
    _plain, _refunded, _declined_first, _disputed, _late_fee, _refunded_twice, _warned,
)  # fmt: skip


def story(simulator: Simulator, customers: int, payments: int) -> tuple[list[Payer], list[bytes]]:
    """Customers with their lives, and the bodies of the events that tell of them."""
    before = len(listed(simulator))
    made = [payer(simulator) for _ in range(customers)]
    for who in made:
        live(who, payments)
    return made, listed(simulator)[before:]


def tell_in_order(web: str, bodies: Sequence[bytes]) -> None:
    """Each event once, in its order, worked on before the next one."""
    with _connected(web) as connection:
        for body in bodies:
            assert _post(connection, body) == 200
            process_due()


def tell_in_a_storm(web: str, bodies: Sequence[bytes], *, times: int, chance: random.Random) -> list[int]:
    """Every event so many times in random order by SENDERS; the statuses of the answers."""
    deliveries = [body for body in bodies for _ in range(times)]
    chance.shuffle(deliveries)
    answers: list[int] = []

    def send(share: Sequence[bytes]) -> None:
        with _connected(web) as connection:
            answers.extend(_post(connection, body) for body in share)

    threads = [threading.Thread(target=send, args=(deliveries[start::SENDERS],)) for start in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class Workers:
    """Processes that work and are killed; whoever is killed is replaced at once."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.kills = 0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.concurrency.webhooks.working"])
        self._workers = [self._start() for _ in range(WORKERS)]
        self._ends = threading.Event()
        self._killer: threading.Thread | None = None

    def _start(self) -> Any:
        worker = self._context.Process(target=work, daemon=True)
        worker.start()
        return worker

    def kill_for(self, *, kills: int, pause: float) -> None:
        """Kill one after the other from now on, in the background."""

        def kill() -> None:
            while self.kills < kills and not self._ends.wait(pause * self.chance.uniform(0.5, 1.5)):
                place = self.chance.randrange(WORKERS)
                self._workers[place].kill()
                self._workers[place].join()
                self._workers[place] = self._start()
                self.kills += 1

        self._killer = threading.Thread(target=kill)
        self._killer.start()

    def finish(self, *, seconds: float) -> None:
        """Wait until nothing is left to do. Fails when it takes too long."""
        if self._killer is not None:
            self._killer.join()
        deadline = time.monotonic() + seconds
        while open_events():
            assert time.monotonic() < deadline, left_over()
            time.sleep(0.1)

    def end(self) -> None:
        """Kill them all."""
        self._ends.set()
        if self._killer is not None:
            self._killer.join()
        for worker in self._workers:
            worker.kill()
            worker.join()


def left_over() -> list[tuple[Any, ...]]:
    """What is not done, and why."""
    statement = (
        "SELECT state, reason, type, object_id, attempts, next_at - clock_timestamp(), detail FROM stripe_events"
        " WHERE state IN ('received', 'processing')"
    )
    return run_in_transaction(lambda cur: cur.execute(statement).fetchall())


def open_events() -> int:
    """How many events wait or are in work."""
    row = run_in_transaction(lambda cur: cur.execute(_OPEN).fetchone())
    return 0 if row is None else int(row[0])


@contextmanager
def _connected(web: str) -> Iterator[http.client.HTTPConnection]:
    place = urlsplit(web)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def _post(connection: http.client.HTTPConnection, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "Stripe-Signature": header(body)}
    connection.request("POST", PLATFORM, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status

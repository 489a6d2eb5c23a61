"""64 clients that ask for the same money, in real threads: one payout, one transfer (S101, P1, P2)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connections

from payouts.operations.paying.batches import request_batch, run_batch
from tests.builders.orgs import AUTHOR, write
from tests.builders.payouts import partner
from tests.builders.stripe import Simulator
from tests.invariants import assert_sound

CLIENTS = 64


def test_one_of_64_requests_for_the_whole_balance_is_accepted(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=5_000)
    start = Barrier(CLIENTS)

    def client(number: int) -> int:
        start.wait()
        try:
            return int(made.ask("50.00", key=f"client-{number}").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = sorted(pool.map(client, range(CLIENTS)))

    assert answers.count(201) == 1
    assert set(answers) <= {
        201,
        409,
        503,
    }  # 503: it waited too long for a connection, and nothing was asked for
    assert made.money() == {"payout_in_transit": 5_000}
    made.send()
    made.arrive()
    assert ([one.state for one in made.payouts()], len(made.transfers())) == (["paid"], 1)
    assert_sound(made.id)


def test_a_batch_that_is_run_twice_at_once_pays_each_partner_once(stripe_simulator: Simulator) -> None:
    made = [partner(stripe_simulator, cents=5_000) for _ in range(4)]
    batch = write(lambda cur: request_batch(cur, author=AUTHOR))
    start = Barrier(2)

    def worker(number: int) -> None:
        start.wait()
        try:
            run_batch(batch)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(worker, range(2)))

    assert [len(one.payouts()) for one in made] == [1] * 4

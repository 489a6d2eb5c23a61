"""64 clients at once on several organizations while limits change; and that the database ends as the model does."""

import random
import threading

from tests.builders.crowd import at_once
from tests.concurrency.gate.history import Replayed
from tests.concurrency.gate.mixed import Party, Worker, disturb
from tests.concurrency.gate.rules import let_go_on
from tests.invariants import reading

CLIENTS = 64
COUNTERS = """
SELECT budget_id::text, target, window_start, held, spent, armed, fired, approved FROM budget_counters
WHERE organization = %s
"""
ACCOUNTS = "SELECT kind, posted, held, debt FROM accounts WHERE organization = %s AND kind = ANY(%s)"


def run(url: str, parties: list[Party], seed: int, *, attempts: int) -> None:
    """All clients at once, somebody who changes the limits meanwhile, and somebody who approves and resumes; then one
    call too large for every layer.
    """
    left, guard, is_over = [attempts], threading.Lock(), threading.Event()

    def take(many: int) -> bool:
        with guard:
            left[0] -= many
            return left[0] + many > 0

    def work(place: int) -> None:
        chance = random.Random(f"{seed}-{place}")
        worker = Worker(url, parties[place % len(parties)], chance)
        many = 1
        while take(many):
            worker.attempt(many)
            worker.settle()
            many = chance.choice((1, 1, 1, 1, 1, 1, 1, 5))
        worker.client.close()

    def change() -> None:
        chance = random.Random(f"{seed}-changes")
        while not is_over.wait(0.05):
            disturb(chance.choice(parties), chance)

    def decide() -> None:
        chance = random.Random(f"{seed}-persons")
        while not is_over.wait(0.05):
            let_go_on(chance.choice(parties).customer)

    def one(place: int) -> None:
        if place >= CLIENTS:
            (change, decide)[place - CLIENTS]()
            return
        try:
            work(place)
        finally:
            with guard:
                done[0] += 1
                if done[0] == CLIENTS:
                    is_over.set()

    done = [0]
    at_once(one, callers=CLIENTS + 2)
    for party in parties:
        let_go_on(party.customer)
        worker = Worker(url, party, random.Random(seed))
        worker.ask_too_much()
        worker.client.close()


def assert_ends_alike(party: Party, replayed: Replayed) -> None:
    """The database and the model have the same counters and the same money at the end."""
    model = replayed.model
    with reading() as connection:
        counters = connection.execute(COUNTERS, (party.customer.id,)).fetchall()
        kinds = ["customer_credit", "unbilled_receivable"]
        accounts = connection.execute(ACCOUNTS, (party.customer.id, kinds)).fetchall()
    kept = {(budget, target, start): tuple(figures) for budget, target, start, *figures in counters}
    assert kept == {
        (rule, target, start): (
            cell.held,
            cell.spent,
            cell.armed,
            cell.fired + 1_000 * cell.refused,
            cell.approved,
        )
        for (rule, target), windows in model.counters.cells.items()
        for start, cell in windows.items()
    }
    money = {kind: rest for kind, *rest in accounts}
    if model.line is None:
        assert money["customer_credit"] == [model.credit - model.debt, model.held, model.debt]
    else:
        assert money["unbilled_receivable"] == [-model.owed, model.held, 0]

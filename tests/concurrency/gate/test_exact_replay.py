"""64 clients over six layers and credit with random limits: 0 overspend, 0 false refusals against the record (S1, S33).

Afterwards the recorded history of every organization is played again in a plain model that shares no code with the
gate: see `history` for how a denial finds its place, and what is proved of one that may have several. In `make soak`
with 100,000 attempts; REPLAY_ATTEMPTS and SOAK_SEED say otherwise.
"""

import os
import random
import secrets
import threading
from collections import Counter
from typing import Any

from tests.builders.crowd import at_once
from tests.concurrency.gate.history import Replayed, replay, unmatched
from tests.concurrency.gate.mixed import Party, Worker, disturb, make_party
from tests.concurrency.gate.plain import text
from tests.invariants import assert_sound, reading

CLIENTS = 64
TIGHT = ("organization", "team", "agent", "workflow", "user", "run", "credit")
ATTEMPTS = int(os.environ.get("REPLAY_ATTEMPTS", "4000"))
COUNTERS = "SELECT budget_id::text, target, window_start, held, spent FROM v_budgets WHERE organization = %s"
ACCOUNTS = "SELECT kind, posted, held, debt FROM accounts WHERE organization = %s AND kind = ANY(%s)"


def test_every_grant_was_allowed_and_every_denial_was_right(web: str) -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    parties = [make_party(tight, chance) for tight in TIGHT]
    run(web, parties, seed)
    told = Counter[str]()
    for party in parties:
        replayed = replay(party.customer.id)
        assert_all_grants_are_recorded(party, replayed)
        assert_all_denials_are_recorded(party, replayed)
        assert_ends_alike(party, replayed)
        told += party.counts + Counter(
            transactions=replayed.transactions,
            rows=len(replayed.denials),
            merged=sum(denial.count - 1 for denial in replayed.denials),
            of_several_places=sum(denial.places > 1 for denial in replayed.denials),
            of_several_answers=sum(len(denial.first) > 1 for denial in replayed.denials),
        )
        told += Counter(f"{one.body['code']} {one.body['binding']['scope']}" for one in party.denials)
        told += Counter(
            f"also {layer['scope']}" for one in party.denials for layer in one.body["also_failing"]
        )
    print(dict(told))
    assert told["201"] + told["402"] + told["409"] >= ATTEMPTS
    assert min(told["201"], told["402"], told["409"]) > ATTEMPTS // 50
    assert all(any(told[name] for name in told if name.endswith(f" {tight}")) for tight in TIGHT), told
    assert_sound(*(party.customer.id for party in parties))


def run(url: str, parties: list[Party], seed: int) -> None:
    """All clients at once, and somebody who changes the limits meanwhile; then one call too large for every layer."""
    left, guard, is_over = [ATTEMPTS], threading.Lock(), threading.Event()

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

    def change(place: int) -> None:
        chance = random.Random(f"{seed}-changes")
        while not is_over.wait(0.05):
            disturb(chance.choice(parties), chance)

    def one(place: int) -> None:
        if place == CLIENTS:
            change(place)
            return
        try:
            work(place)
        finally:
            with guard:
                done[0] += 1
                if done[0] == CLIENTS:
                    is_over.set()

    done = [0]
    at_once(one, callers=CLIENTS + 1)
    for party in parties:
        worker = Worker(url, party, random.Random(seed))
        worker.ask_too_much()
        worker.client.close()


def assert_all_grants_are_recorded(party: Party, replayed: Replayed) -> None:
    """What the clients were granted is what the record holds, and each was told every layer as it then was."""
    assert set(party.grants) == set(replayed.grants)
    for name, body in party.grants.items():
        found = replayed.grants[name]
        assert body["held"] == text(found["held"])
        budgets = [(b["id"], b["limit"], b["spent"], b["held"], b["remaining"]) for b in body["budgets"]]
        assert budgets == found["budgets"], name
        assert (body["credit"]["available"], body["credit"]["held"]) == found["credit"], name


def assert_all_denials_are_recorded(party: Party, replayed: Replayed) -> None:
    """Each denial that a client was told stands in the record, right at its moment, and there is no other."""
    assert sum(denial.count for denial in replayed.denials) == len(party.denials)
    missing, left = unmatched(replayed.denials, party.denials)
    assert (missing, left) == ([], 0)


def assert_ends_alike(party: Party, replayed: Replayed) -> None:
    """The database and the model have the same counters and the same money at the end."""
    model = replayed.model
    with reading() as connection:
        counters = connection.execute(COUNTERS, (party.customer.id,)).fetchall()
        kinds = ["customer_credit", "unbilled_receivable"]
        accounts = connection.execute(ACCOUNTS, (party.customer.id, kinds)).fetchall()
    kept = {(budget, target, start): [held, spent] for budget, target, start, held, spent in counters}
    played: dict[Any, list[int]] = {
        (budget.id, target, start): sums
        for budget in model.budgets.values()
        for target, windows in budget.sums.items()
        for start, sums in windows.items()
    }
    assert {key: kept[key] for key in played} == played
    money = {kind: rest for kind, *rest in accounts}
    if model.line is None:
        assert money["customer_credit"] == [model.credit - model.debt, model.held, model.debt]
    else:
        assert money["unbilled_receivable"] == [-model.owed, model.held, 0]

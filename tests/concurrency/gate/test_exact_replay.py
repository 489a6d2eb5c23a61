"""64 clients over six layers and credit with random limits: 0 overspend, 0 false refusals against the record (S1, S33).

Afterwards the recorded history of every organization is played again in a plain model that shares no code with the
gate: see `history` for how a denial finds its place, and what is proved of one that may have several. In `make soak`
with 100,000 attempts; REPLAY_ATTEMPTS and SOAK_SEED say otherwise.
"""

import os
import random
import secrets
from collections import Counter

from tests.concurrency.gate.audit import facts_of
from tests.concurrency.gate.history import Replayed, replay, unmatched
from tests.concurrency.gate.mixed import Party, make_market, make_party
from tests.concurrency.gate.payers import Payers
from tests.concurrency.gate.plaincalls import text
from tests.concurrency.gate.running import assert_ends_alike, run
from tests.invariants import assert_sound

TIGHT = ("organization", "team", "agent", "workflow", "user", "run", "credit")
CODES = (
    "rate_limited",
    "approval_required",
    "paused",
    "attempts_exceeded",
    "backoff_required",
    "run_ceiling_reached",
)
ATTEMPTS = int(os.environ.get("REPLAY_ATTEMPTS", "2500"))


def test_every_grant_was_allowed_and_every_denial_was_right(web: str) -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    market = make_market()
    parties = [make_party(tight, chance, market) for tight in TIGHT]
    run(web, parties, seed, attempts=ATTEMPTS)
    told = Counter[str]()
    for party in parties:
        replayed = replay(party.customer.id)
        assert_all_grants_are_recorded(party, replayed)
        assert_all_denials_are_recorded(party, replayed)
        assert_all_denials_left_their_marks(party, replayed)
        assert_ends_alike(party, replayed)
        payers = Payers()
        for fact in facts_of(party.customer.id):
            payers.see(fact)
        told += Counter({f"paid by {source}": amount for source, amount in payers.paid.items()})
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
    assert sum(told[status] for status in ("201", "402", "403", "409", "429")) >= ATTEMPTS
    assert min(told[status] for status in ("201", "402", "403", "409", "429")) > ATTEMPTS // 400
    assert all(any(name.startswith(f"{code} ") for name in told) for code in CODES), told
    assert all(any(told[name] for name in told if name.endswith(f" {tight}")) for tight in TIGHT), told
    assert all(told[f"paid by {source}"] for source in ("allowance", "commitment", "credit"))
    assert_sound(*(party.customer.id for party in parties))


def assert_all_grants_are_recorded(party: Party, replayed: Replayed) -> None:
    """What the clients were granted is what the record holds, and each was told every layer as it then was."""
    assert set(party.grants) == set(replayed.grants)
    for name, body in party.grants.items():
        found = replayed.grants[name]
        assert (body["held"], body["decision"]) == (text(found["held"]), found["decision"]), name
        budgets = [(b["id"], b["limit"], b["spent"], b["held"], b["remaining"]) for b in body["budgets"]]
        assert budgets == found["budgets"], name
        assert (body["credit"]["available"], body["credit"]["held"]) == found["credit"], name


def assert_all_denials_are_recorded(party: Party, replayed: Replayed) -> None:
    """Each denial that a client was told stands in the record, right at its moment, and there is no other."""
    assert sum(denial.count for denial in replayed.denials) == len(party.denials)
    missing, left = unmatched(replayed.denials, party.denials)
    assert (missing, left) == ([], 0)


def assert_all_denials_left_their_marks(party: Party, replayed: Replayed) -> None:
    """A limit that escalates has counted each 429 of its own and nothing else; a step that had too many attempts is
    marked, and no other.
    """
    strikes, stopped = Counter[str](), set()
    for one in party.denials:
        layers = [{**one.body["binding"], "code": one.body["code"]}, *one.body["also_failing"]]
        for layer in layers:
            if (
                one.body["status"] == 429
                and layer["code"] == "rate_limited"
                and layer["rule"] in party.escalating
            ):
                strikes[layer["rule"]] += 1
            if layer["code"] == "attempts_exceeded":
                stopped.add((layer["target"], layer["step"]))
    assert replayed.model.strikes == strikes
    pasts = replayed.model.pasts.items()
    assert {(run, step) for run, past in pasts for step in past.stopped} == stopped

"""64 clients on organizations with thresholds of every action, rate limits of every unit and shape, and ceilings of
runs, several at once, while limits change, a person approves and a person resumes (S34, S37, S48 to S56).

From the record alone: each threshold fired exactly once in each window and arming, none without its level or a refusal
by it, none is missing; no rate limit was passed beyond its burst, by reference implementations (`audit`); charges were
paid in the order of the waterfall (`payers`); nothing was overspent, and counters and balances are what the accepted
calls make in the plain model: no denial took anything. In `make soak` with 100,000 attempts; CONTROLS_ATTEMPTS and
SOAK_SEED say otherwise.
"""

import io
import os
import random
import secrets
from collections import Counter

from django.core.management import call_command

from tests.concurrency.gate.audit import Rates, Thresholds, facts_of
from tests.concurrency.gate.history import replay
from tests.concurrency.gate.mixed import Party, make_market, make_party
from tests.concurrency.gate.payers import Payers
from tests.concurrency.gate.running import assert_ends_alike, run
from tests.invariants import assert_sound

PARTIES = 6
ATTEMPTS = int(os.environ.get("CONTROLS_ATTEMPTS", "2000"))
ACTIONS = ("notify", "cap", "throttle", "require_approval", "pause", "block")
CODES = ("rate_limited", "approval_required", "paused", "run_ceiling_reached", "budget_exhausted")


def test_every_rule_acts_as_it_says_and_takes_nothing_from_another(web: str) -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    chance, market = random.Random(seed), make_market()
    parties = [make_party("none", chance, market, ruled=True) for _ in range(PARTIES)]
    run(web, parties, seed, attempts=ATTEMPTS)
    told = Counter[str]()
    for party in parties:
        told += audited(party)
        told += Counter(one.body["code"] for one in party.denials) + party.counts
        assert_ends_alike(party, replay(party.customer.id))
    print(dict(told))
    assert sum(told[status] for status in ("201", "402", "403", "409", "429")) >= ATTEMPTS
    assert all(told[f"fired {action}"] for action in ACTIONS), told
    assert all(told[code] for code in CODES), told
    assert_sound(*(party.customer.id for party in parties))
    for command, *arguments in (("verify_ledger",), ("rebuild", "--check")):
        call_command(command, *arguments, stdout=io.StringIO())


def audited(party: Party) -> Counter[str]:
    """What the record of an organization proves of its rate limits and thresholds, counted."""
    rates, thresholds, payers = Rates(), Thresholds(), Payers()
    for fact in facts_of(party.customer.id):
        rates.see(fact)
        thresholds.see(fact)
        payers.see(fact)
    assert rates.violations == []
    assert not thresholds.due
    fired = {f"fired {action}": many for action, many in thresholds.actions.items()}
    return Counter({"admitted by limits": rates.admitted, **fired})

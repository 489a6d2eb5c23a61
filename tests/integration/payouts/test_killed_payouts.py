"""A payout whose sender dies, whose connection is cut, or whose calls fail: one transfer, one payout, whatever happens
(S102, P2)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import pytest

from billing.operations.commands import deliver
from common.errors import ServiceUnavailable
from payouts.queries.payingintegrity import violations
from tests.builders.cutting import dying_after
from tests.builders.orgs import write
from tests.builders.payouts import Earner, partner
from tests.builders.sizes import IS_FULL
from tests.builders.stripe import Simulator
from tests.integration.billing.sending_command import killed_while_sending
from tests.invariants import assert_sound

STEPS: Final = 1 if IS_FULL else 28
FAULTS: Final = (
    "error_before", "error_after", "timeout_before", "timeout_after", "reset_before", "reset_after", "truncated",
    "html_502", "rate_limit", "lock_timeout", "conflict",
)  # fmt: skip


def finish(made: Earner) -> None:
    """Send what is left again and again, an hour later each time; then the bank takes it."""
    for hours in (1.1, 2.2, 24.3, 25.4, 26.5, 27.6, 28.7):
        made.send(hours=hours)
    made.arrive()


def assert_paid_once(made: Earner) -> None:
    assert (made.state(), len(made.transfers()), len(made.payouts_there())) == ("paid", 1, 1)
    assert made.money() == {"processor_clearing": 5_000}
    assert [one for one in write(violations) if one.organization == made.id] == []
    assert_sound(made.id)


def next_command(made: Earner) -> UUID:
    """The one that is to be done now."""
    return next(one.id for one in made.commands() if one.is_open)


@pytest.mark.parametrize("step", ["create_transfer", "create_payout"])
def test_a_connection_that_is_cut_at_any_statement_leads_to_one(
    stripe_simulator: Simulator, step: str
) -> None:
    cuts, is_cut = 0, True
    while is_cut:
        made = _at(stripe_simulator, step)
        try:
            with dying_after(statements=STEPS * cuts + 1 + cuts % STEPS):
                deliver(next_command(made))
            is_cut = False
        except ServiceUnavailable:
            cuts += 1
        finish(made)
        assert_paid_once(made)
    assert cuts * STEPS > 10


@pytest.mark.parametrize("step", ["create_transfer", "create_payout"])
def test_a_connection_that_is_cut_at_any_commit_leads_to_one(stripe_simulator: Simulator, step: str) -> None:
    for commit in (1, 2, 3, 4):
        made = _at(stripe_simulator, step)
        try:
            with dying_after(commits=commit):
                deliver(next_command(made))
        except ServiceUnavailable:
            pass
        finish(made)
        assert_paid_once(made)


@pytest.mark.parametrize("step", ["create_transfer", "create_payout"])
def test_a_sender_that_is_killed_between_any_two_steps_leads_to_one(
    stripe_simulator: Simulator, step: str
) -> None:
    killed = 0
    for statement in range(1, 400, 1 if IS_FULL else 17):
        made = _at(stripe_simulator, step)
        is_killed = killed_while_sending(next_command(made), statement=statement)
        finish(made)
        assert_paid_once(made)
        if not is_killed:
            break
        killed += 1
    assert killed > 1


def _at(simulator: Simulator, step: str) -> Earner:
    """A partner whose payout is at this step."""
    made = partner(simulator, cents=5_000)
    made.asked()
    if step == "create_payout":
        made.send(times=1)
    assert [one.purpose for one in made.commands() if one.is_open] == [step]
    return made


@pytest.mark.parametrize("path", ["transfers", "payouts"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_call_makes_no_second_one(stripe_simulator: Simulator, path: str, fault: str) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.asked()
    rule = {"kind": fault, "method": "POST", "path": f"/v1/{path}", "count": 2, "seconds": 0.1}
    stripe_simulator.fail(rule)

    made.send()

    assert made.payout().is_open
    assert made.money()["payout_in_transit"] == 5_000  # nothing is returned before the processor was asked
    stripe_simulator.fail()
    finish(made)
    assert_paid_once(made)


@pytest.mark.parametrize("fault", ["timeout_after", "reset_after", "error_after"])
def test_a_payout_in_doubt_is_unknown_and_is_sent_under_no_other_key(
    stripe_simulator: Simulator, fault: str
) -> None:
    made = partner(stripe_simulator, cents=5_000)
    payout = made.asked()
    stripe_simulator.fail(
        {"kind": fault, "method": "POST", "path": "/v1/transfers", "count": 2, "seconds": 0.1}
    )

    made.send()

    assert made.state() == "unknown"
    assert made.own.post(f"/v1/partner/payouts/{payout}/cancel").status_code == 409
    stripe_simulator.fail()
    finish(made)
    keys = {one["key"] for one in stripe_simulator.requests("POST", "/v1/transfers")}
    assert len(keys) == 1
    assert_paid_once(made)


@pytest.mark.parametrize("fault", ["reset_after", "error_after"])
def test_a_reversal_in_doubt_is_made_once(stripe_simulator: Simulator, fault: str) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.paid()
    stripe_simulator.decide(payout=made.payout().payout, on=made.account, to="failed")
    made.hear()
    stripe_simulator.fail({"kind": fault, "method": "POST", "path": "/v1/transfers/.*/reversals", "count": 2})

    made.send()
    stripe_simulator.fail()
    for hours in (1.1, 2.2, 24.3, 25.4, 26.5):
        made.send(hours=hours)

    assert (made.state(), made.money()) == ("failed", {"partner_payable": 5_000})
    assert made.transfers()[0].amount_reversed == 5_000

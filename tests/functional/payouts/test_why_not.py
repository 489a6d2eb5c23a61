"""Why not the rest: what keeps a payout from being made or sent now is said before it is asked for."""

from datetime import timedelta
from typing import Any

from orgs.rules.facts import time_text
from tests.builders.orgs import caller
from tests.builders.payouts import Earner, partner
from tests.builders.stripe import Simulator


def reasons(made: Earner) -> dict[str, str]:
    """The reasons of what a partner can withdraw now, as it reads them."""
    answer = caller(made.id, "payouts:read").get("/v1/partner/balance")
    assert answer.status_code == 200, answer.content
    return {one["code"]: one["detail"] for one in answer.json()["reasons"]}


def other_bank(made: Earner) -> None:
    bank: Any = {
        "object": "bank_account", "country": "US", "currency": "usd", "routing_number": "110000000",
        "account_number": "000123456789",
    }  # fmt: skip
    given: Any = {"external_account": bank, "default_for_currency": True}
    made.stripe.sdk().v1.accounts.external_accounts.create(made.account, given)
    made.see()


def refused(made: Earner) -> str:
    code: str = made.ask().json()["code"]
    return code


def test_nothing_is_said_where_all_can_be_paid_out_or_there_is_nothing(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator)
    assert reasons(made) == {}
    made.earn(5_000)
    assert reasons(made) == {}


def test_less_than_the_least_payout_is_said_as_it_is_refused(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=999)
    (code,) = found = reasons(made)
    assert code == refused(made) == "below_minimum_payout"
    assert found[code] == "It is less than the least payout of 10 USD."


def test_a_payout_under_way_is_said_and_then_that_it_was_lately(stripe_simulator: Simulator) -> None:
    made = partner(stripe_simulator, cents=5_000)
    payout = made.asked()
    assert [*reasons(made)] == ["payout_under_way"]  # though nothing is left to withdraw
    made.earn(2_000)
    assert [*reasons(made)] == ["payout_under_way"] == [refused(made)]
    made.send()
    made.arrive()
    assert reasons(made) == {
        "payout_too_soon": "The last payout was requested less than 24 hours ago; the next one can be from "
        f"{time_text(made.payout(payout).requested_at + timedelta(hours=24))} on."
    }
    assert refused(made) == "payout_too_soon"
    made.later(hours=25)
    assert reasons(made) == {}


def test_a_bank_account_that_was_changed_lately_is_said_until_it_has_waited(
    stripe_simulator: Simulator,
) -> None:
    made = partner(stripe_simulator, cents=5_000)
    other_bank(made)
    changed = made.partner().destination_changed_at
    assert changed is not None
    until = time_text(changed + timedelta(hours=72))
    assert reasons(made) == {
        "destination_changed": f"Your bank account was changed lately; a payout waits until {until}."
    }
    made.later(hours=73)
    assert reasons(made) == {}

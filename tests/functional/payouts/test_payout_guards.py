"""What keeps a payout's money from being paid twice, to the wrong account, or by the word of one person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payouts.operations.paying.applying import apply_partner_payout
from payouts.operations.paying.batches import run_batches
from payouts.operations.paying.due import advance_due
from payouts.operations.paying.reconciling import reconcile
from tests.builders.gate import Customer
from tests.builders.orgs import AUTHOR, platform, unique, write
from tests.builders.payments import kinds
from tests.builders.payments import payout as there
from tests.builders.payouts import CENT, Earner, partner
from tests.builders.stripe import Simulator
from tests.functional.billing.test_admin import staff
from tests.functional.payouts.test_payouts_admin import acts
from tests.invariants import Still, assert_sound


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestTheBooksOfAPayout:
    def test_are_not_reversed_by_hand(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        stripe_simulator.decide(payout=made.payout().payout, on=made.account, to="failed")
        made.hear()
        made.send()
        statement = (
            "SELECT kind, id FROM journal_entries WHERE organization = %s AND kind LIKE 'payout%%' ORDER BY 1"
        )
        entries = write(lambda cur: cur.execute(statement, (made.id,)).fetchall())
        assert [kind for kind, _ in entries] == [
            "payout_paid", "payout_requested", "payout_returned", "payout_transferred", "payout_transferred_back",
        ]  # fmt: skip

        with Still(made.id):
            for _, entry in entries:
                answer = platform().post(f"/v1/entries/{entry}/reverse", {"reason": "no"}, key=unique())
                assert problem(answer) == (409, "invalid_transition")

        assert made.money() == {"partner_payable": 5_000}
        assert_sound(made.id)

    def test_are_not_adjusted_by_hand(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        body = {
            "organization": str(made.id), "direction": "credit", "amount": "50.00", "currency": "USD",
            "contra": "payout_in_transit", "reason": "no",
        }  # fmt: skip
        with Still(made.id):
            answer = platform().post("/v1/adjustments", body, key=unique())
        assert answer.status_code in (400, 422), answer.content


def requested(made: Earner, way: str) -> None:
    """A payout that a key without a member asks for on the platform's behalf."""
    body = {"organization": str(made.id)} if way != "/v1/payouts/batch" else None
    answer = platform().post(way, body, key=unique())
    assert answer.status_code == 201, answer.content
    run_batches()


class TestAPayoutThatNobodyStandsBehind:
    @pytest.mark.parametrize("way", ["/v1/payouts", "/v1/partner/payouts", "/v1/payouts/batch"])
    def test_takes_two_persons_above_the_limit(self, stripe_simulator: Simulator, way: str) -> None:
        made = partner(stripe_simulator, cents=150_000)
        requested(made, way)
        payout = made.payout().id
        (_, first), (second, other) = (staff("view_payout", "change_payout") for _ in range(2))

        acts(first, "approve", payout)

        with Still(made.id):
            acts(first, "approve", payout)
            key = platform().post(f"/v1/payouts/{payout}/approve", key=unique())
        assert (made.state(), made.commands(), problem(key)) == (
            "pending_approval", [], (403, "maker_cannot_approve"),
        )  # fmt: skip
        acts(other, "approve", payout)
        assert (made.state(), made.payout().approved_by) == ("approved", f"staff:{second.pk}")

    def test_takes_none_up_to_the_limit(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=100_000)
        requested(made, "/v1/payouts")
        assert made.state() == "approved"


def moves(made: Earner, *, number: str = "000999999991") -> str:
    """Another bank account of the partner's; its id."""
    bank: Any = {
        "object": "bank_account", "country": "US", "currency": "usd", "routing_number": "110000000",
        "account_number": number,
    }  # fmt: skip
    given: Any = {"external_account": bank, "default_for_currency": True}
    there = made.stripe.sdk().v1.accounts.external_accounts.create(made.account, given)
    assert made.see().destination == there.id
    return str(there.id)


def decided(made: Earner, verb: str, **body: Any) -> str:
    """What the latest payout is after the platform's decision, and why it is held."""
    answer = platform().post(f"/v1/payouts/{made.payout().id}/{verb}", body or None, key=unique())
    assert answer.status_code == 200, answer.content
    found = answer.json()
    return f"{found['status']} {found['hold']['code']}" if found["hold"] else str(found["status"])


def terms(made: Earner, **changes: Any) -> None:
    """What finance agrees with the partner from now on."""
    answer = platform().patch(f"/v1/partners/{made.id}", changes)
    assert answer.status_code == 200, answer.content


class TestAReleaseBeforeFinanceHoldsThePartner:
    def test_of_a_hold_that_was_no_review_is_no_review(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        moves(made)
        made.asked()
        assert decided(made, "release") == "held destination_changed"

        terms(made, hold_reason="fraud")

        made.later(hours=73)
        advance_due()
        made.send()
        assert (made.state(), made.payout().hold, made.transfers()) == ("held", "review", [])
        assert decided(made, "release") == "approved"

    def test_of_a_hold_by_hand_still_waits_for_the_review(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        assert decided(made, "hold", reason="Looks odd") == "held manual"
        terms(made, hold_reason="fraud")
        assert decided(made, "release") == "held review"
        assert decided(made, "release") == "approved"

    def test_of_a_review_for_another_reason_is_forgotten(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        terms(made, hold_reason="First payout")
        made.asked()
        assert decided(made, "release") == "approved"

        terms(made, hold_reason="fraud")

        made.send()
        assert (made.state(), made.payout().hold_note, made.transfers()) == ("held", "fraud", [])
        assert made.money() == {"payout_in_transit": 5_000}
        assert decided(made, "release") == "approved"
        terms(made, hold_reason="fraud")  # the same again is no other
        made.send()
        made.arrive()
        assert made.state() == "paid"


class TestMoneyThatIsKnownToBeGone:
    def test_is_not_sent_by_a_payout_that_waited_for_approval(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator)
        customer = made.earn(150_000)
        made.asked()
        assert made.state() == "pending_approval"
        made.lose(customer, 60_000)

        acts(staff("view_payout", "change_payout")[1], "approve", made.payout().id)

        assert (made.state(), made.payout().hold) == ("held", "negative_balance")
        made.later(hours=1)
        advance_due()
        made.send()
        assert (made.state(), made.transfers()) == ("held", [])
        made.earn(60_000)
        made.later(hours=1)
        advance_due()
        assert made.state() == "approved"  # it was approved once

    def test_is_not_sent_by_a_payout_that_is_about_to_be(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator)
        customer = made.earn(5_000)
        made.asked()
        made.lose(customer, 1)

        made.send()

        assert (made.state(), made.payout().hold, made.transfers()) == ("held", "negative_balance", [])
        assert decided(made, "release") == "held negative_balance"
        assert decided(made, "reject", reason="Refunded") == "canceled"
        assert made.money() == {"partner_payable": 4_999}
        assert_sound(made.id)


class TestABankAccountThatChangesWhileAPayoutIsHeld:
    def test_is_the_one_that_is_paid_after_its_wait(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        old = made.partner().destination
        terms(made, hold_reason="First payout")
        made.asked()
        new = moves(made)
        assert old != new
        assert decided(made, "release") == "held destination_changed"
        made.later(hours=73)

        advance_due()

        assert made.state() == "approved"
        made.send()
        made.arrive()
        assert (made.state(), made.payout().destination) == ("paid", new)
        assert [one.destination for one in made.payouts_there()] == [new]

    def test_is_never_the_old_one_of_a_payout_that_is_about_to_be_sent(
        self, stripe_simulator: Simulator, settings: Any
    ) -> None:
        settings.PAYOUT_DESTINATION_WAIT_HOURS = 0
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        new = moves(made)

        made.send()

        assert (made.state(), made.payout().hold, made.transfers()) == ("held", "destination_changed", [])
        made.later(minutes=16)
        advance_due()
        made.send()
        made.arrive()
        assert [one.destination for one in made.payouts_there()] == [new]


class TestAnAccountOfAnotherCurrency:
    def test_is_sent_nothing_until_it_is_the_partners(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000, paid_in="eur")

        answer = made.ask()

        assert (answer.status_code, answer.json()["hold"]["code"], answer.json()["hold"]["detail"]) == (
            201, "account_not_ready", "currency_mismatch",
        )  # fmt: skip
        account = made.own.post("/v1/partner/account/refresh").json()
        assert (account["status"], account["disabled_reason"]) == ("restricted", "currency_mismatch")
        made.send()
        assert (made.state(), made.transfers()) == ("held", [])


class TestTheLimitOfOnePerson:
    @pytest.mark.parametrize(("cents", "state"), [(36_000_000, "approved"), (36_000_100, "pending_approval")])
    def test_is_about_as_much_in_another_currency(
        self, stripe_simulator: Simulator, cents: int, state: str
    ) -> None:
        made = partner(stripe_simulator, currency="HUF")
        made.earn(cents)
        requested(made, "/v1/payouts")
        assert made.state() == state

    def test_is_what_is_named_for_the_currency(self, stripe_simulator: Simulator, settings: Any) -> None:
        settings.PAYOUT_APPROVAL_ABOVE_BY_CURRENCY = {"HUF": 4_000 * 10**8}
        made = partner(stripe_simulator, currency="HUF")
        made.earn(400_100)
        requested(made, "/v1/payouts")
        assert made.state() == "pending_approval"


class TestAPayoutThatTheBankIsToGiveBack:
    def test_stays_paid_where_that_fails(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        assert decided(made, "reverse", reason="Paid by mistake") == "paid"
        made.send()
        stripe_simulator.decide(payout=made.payout().recall, on=made.account, to="failed")

        for _ in range(2):
            made.hear()

        assert (made.state(), made.money()) == ("paid", {"processor_clearing": 5_000})
        assert kinds(made.id) == ["payout_not_reversed"]
        assert_sound(made.id)

    def test_is_reversed_by_reconciliation_where_no_event_told(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        decided(made, "reverse", reason="Paid by mistake")
        made.send()
        stripe_simulator.advance(3 * 86_400)
        ends = datetime.now(UTC) + timedelta(days=9)

        for _ in range(2):
            reconcile(ends - timedelta(days=11), ends)

        made.send()
        made.hear()
        assert (made.state(), made.money()) == ("reversed", {"partner_payable": 5_000})

    def test_is_told_of_that_before_its_command_is_answered(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        paid = made.paid()
        decided(made, "reverse", reason="Paid by mistake")
        back = there(-5_000 * CENT, "paid", metadata={"payout": str(paid)})
        with Still(made.id):
            answer = write(lambda cur: apply_partner_payout(cur, (made.account, back), author=AUTHOR))
        assert answer.outcome == "parked"


class TestALeastPayoutThatNobodyKnows:
    def test_is_agreed_before_anything_is_paid(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, currency="KPW")
        made.earn(5_000)
        with Still(made.id):
            refused = made.own.post("/v1/partner/payouts", {}, key=unique())
        assert problem(refused) == (409, "invalid_transition")

        terms(made, minimum="50.00")

        assert made.own.post("/v1/partner/payouts", {}, key=unique()).status_code == 201


def reviewed(made: Earner, customer: Customer) -> None:
    terms(made, hold_reason="fraud")


def restricted(made: Earner, customer: Customer) -> None:
    made.stripe.decide(account=made.account, to="restricted")
    made.see()


def moved_on(made: Earner, customer: Customer) -> None:
    moves(made)


def refunded(made: Earner, customer: Customer) -> None:
    made.lose(customer, 5_000)


HINDRANCES = pytest.mark.parametrize(
    ("hinder", "code"),
    [
        (reviewed, "review"),
        (restricted, "account_not_ready"),
        (moved_on, "destination_changed"),
        (refunded, "negative_balance"),
    ],
    ids=["review", "account", "bank", "refund"],
)


def waiting(simulator: Simulator) -> tuple[Earner, Customer]:
    """A payout of 50.00 that the processor had too little for, and the customer whose money it is."""
    made = partner(simulator, funds=0)
    customer = made.earn(5_000)
    made.asked()
    made.send()
    assert (made.state(), made.payout().waits_for) == ("approved", "balance_insufficient")
    assert kinds(made.id) == ["payout_waits"]
    return made, customer


def funded(made: Earner) -> None:
    """The processor has enough, and what waits for that is tried again."""
    made.stripe.fund(10**6)
    made.later(minutes=16)
    advance_due()
    made.send()


class TestAPayoutThatWaitsForMoneyAtTheProcessor:
    def test_is_held_by_hand_and_sent_once_after_its_release(self, stripe_simulator: Simulator) -> None:
        made, _ = waiting(stripe_simulator)

        assert decided(made, "hold", reason="Looks odd") == "held manual"

        funded(made)
        retried = platform().post(f"/v1/payouts/{made.payout().id}/retry", key=unique())
        made.send()
        assert (made.state(), made.transfers(), kinds(made.id)) == ("held", [], [])
        assert problem(retried) == (409, "invalid_transition")
        assert decided(made, "release") == "approved"
        made.send()
        made.arrive()
        assert (made.state(), len(made.transfers())) == ("paid", 1)
        assert_sound(made.id)

    @pytest.mark.parametrize("who", ["partner", "platform"])
    def test_is_canceled(self, stripe_simulator: Simulator, who: str) -> None:
        made, _ = waiting(stripe_simulator)
        payout = made.payout().id

        if who == "partner":
            answer = made.own.post(f"/v1/partner/payouts/{payout}/cancel")
        else:
            answer = platform().post(f"/v1/payouts/{payout}/reject", {"reason": "No"}, key=unique())

        assert (answer.status_code, made.state(), kinds(made.id)) == (200, "canceled", [])
        funded(made)
        assert (made.state(), made.transfers(), made.money()) == ("canceled", [], {"partner_payable": 5_000})
        assert_sound(made.id)

    @HINDRANCES
    def test_is_judged_once_more(self, stripe_simulator: Simulator, hinder: Any, code: str) -> None:
        made, customer = waiting(stripe_simulator)
        hinder(made, customer)

        funded(made)

        assert (made.state(), made.payout().hold, made.payout().waits_for) == ("held", code, None)
        assert (made.transfers(), kinds(made.id)) == ([], [])
        assert_sound(made.id)


class TestMoneyAtThePartnersAccount:
    @HINDRANCES
    def test_comes_back_where_something_hinders_its_last_step(
        self, stripe_simulator: Simulator, hinder: Any, code: str
    ) -> None:
        made = partner(stripe_simulator)
        customer = made.earn(5_000)
        made.asked()
        made.send(times=1)
        assert (len(made.transfers()), made.payouts_there()) == (1, [])
        hinder(made, customer)

        made.send()

        failure = made.payout().failure
        assert (made.state(), failure and failure["code"], made.payouts_there()) == ("failed", code, [])
        assert made.money() == ({} if hinder is refunded else {"partner_payable": 5_000})
        assert kinds(made.id) == ["payout_failed"]
        assert_sound(made.id)


class TestAPayoutInDoubtThatNeverWasDone:
    @pytest.mark.parametrize(("path", "state"), [("transfers", "held"), ("payouts", "failed")])
    def test_is_judged_before_it_is_asked_for_anew(
        self, stripe_simulator: Simulator, path: str, state: str
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        if path == "payouts":
            made.send(times=1)
        stripe_simulator.fail({"kind": "reset_before", "method": "POST", "path": f"/v1/{path}"})
        made.send(times=1)
        assert made.state() == "unknown"
        stripe_simulator.fail()
        made.send(hours=24, times=1)
        made.send(hours=25.1, times=1)
        assert made.state() == "unknown"
        terms(made, hold_reason="fraud")

        made.send(hours=25.2)

        assert (made.state(), made.payouts_there()) == (state, [])
        assert made.money() == (
            {"payout_in_transit": 5_000} if state == "held" else {"partner_payable": 5_000}
        )
        assert_sound(made.id)

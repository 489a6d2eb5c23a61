"""Payouts of partners: requested by API, sent by commands to the simulator, brought to what the processor says."""

from dataclasses import replace
from typing import Any

import pytest

from billing.rules.payments.applied import Applied
from billing.rules.payments.commands import OPEN_STATES
from billing.rules.payments.outcomes import Refused
from billing.rules.payments.views import PayoutView
from payouts import stripe_gateway as connect
from payouts.operations.paying import applying
from payouts.operations.paying.due import advance_due
from payouts.operations.paying.settling import settle_payout
from tests.builders.orgs import AUTHOR, caller, make_agent, make_member, platform, unique, write
from tests.builders.payments import kinds
from tests.builders.payments import payout as there
from tests.builders.payouts import CENT, Earner, partner
from tests.builders.stripe import Simulator
from tests.invariants import Still, assert_sound


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def told(made: Earner, view: PayoutView) -> Applied:
    """What becomes of a view of a payout on the partner's account."""
    return write(lambda cur: applying.apply_partner_payout(cur, (made.account, view), author=AUTHOR))


def acted(payout: Any, verb: str, body: Any = None, **given: Any) -> Any:
    return platform().post(f"/v1/payouts/{payout}/{verb}", body, key=unique(), **given)


class TestAPayout:
    def test_takes_the_money_at_once_and_reaches_the_bank(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)

        answer = made.ask()

        assert (answer.status_code, answer.json()["status"], answer.json()["amount"]) == (
            201,
            "approved",
            "50.00",
        )
        assert made.money() == {"payout_in_transit": 5_000}
        made.send()
        assert (made.state(), made.money()) == (
            "processing",
            {"payout_in_transit": 5_000, "processor_clearing": 5_000, "cash": -5_000},
        )
        made.arrive()
        assert (made.state(), made.money()) == ("paid", {"processor_clearing": 5_000})
        assert (
            [one.amount for one in made.transfers()]
            == [one.amount for one in made.payouts_there()]
            == [5_000]
        )
        assert_sound(made.id)

    def test_names_itself_in_everything_that_is_sent(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        payout = str(made.paid())

        (transfer,), (there,) = made.transfers(), made.payouts_there()

        assert (transfer.metadata["payout"], there.metadata["payout"]) == (payout, payout)
        assert transfer.transfer_group == f"payout:{payout}"
        assert there.destination == made.partner().destination

    def test_is_made_once_under_its_key(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        key = unique()

        first, again = made.ask("20.00", key=key), made.ask("20.00", key=key)

        assert (first.status_code, first.content) == (201, again.content)
        assert made.money() == {"partner_payable": 3_000, "payout_in_transit": 2_000}

    def test_needs_an_idempotency_key(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        assert problem(made.own.post("/v1/partner/payouts", {}))[0] == 400

    def test_cuts_down_to_whole_units_where_banks_take_no_less(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, currency="HUF")
        made.earn(1_234_567)

        answer = made.own.post("/v1/partner/payouts", {}, key=unique())

        assert (answer.json()["amount"], made.money()["partner_payable"]) == ("12345.00", 67)


class TestARefusalMovesNothing:
    @pytest.mark.parametrize(
        ("amount", "expected"),
        [("50.01", (409, "not_withdrawable")), ("9.99", (422, "below_minimum_payout"))],
        ids=["more than there is", "less than the minimum"],
    )
    def test_of_an_amount(self, stripe_simulator: Simulator, amount: str, expected: tuple[int, str]) -> None:
        made = partner(stripe_simulator, cents=5_000)
        with Still(made.id):
            assert problem(made.ask(amount)) == expected

    def test_while_another_one_is_open(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked("20.00")
        with Still(made.id):
            assert problem(made.ask("20.00")) == (409, "payout_under_way")

    def test_within_a_day(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid("20.00")
        with Still(made.id):
            refused = made.ask("20.00")
        assert problem(refused) == (409, "payout_too_soon")
        assert 86_000 < refused.json()["retry_after"] <= 86_400
        made.later(hours=24)
        assert made.ask("20.00").status_code == 201

    def test_by_a_key_that_only_reads(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        reader = caller(made.id, "payouts:read")
        with Still(made.id):
            answer = reader.post("/v1/partner/payouts", {}, key=unique())
        assert problem(answer) == (403, "forbidden")

    def test_by_a_key_for_some_agents(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        limited = caller(made.id, "payouts:write", agents=(make_agent(made.id).key,))
        with Still(made.id):
            answer = limited.post("/v1/partner/payouts", {}, key=unique())
        assert problem(answer) == (403, "forbidden")

    def test_of_a_sandbox_with_a_key_for_real_money(self, stripe_simulator: Simulator, settings: Any) -> None:
        made = partner(stripe_simulator, cents=5_000)
        settings.STRIPE_API_KEY = "sk_live_1"
        with Still(made.id):
            assert problem(made.ask()) == (409, "invalid_transition")

    def test_of_another_organization(self, stripe_simulator: Simulator) -> None:
        made, other = partner(stripe_simulator, cents=5_000), partner(stripe_simulator)
        payout = made.asked()
        assert other.own.get(f"/v1/partner/payouts/{payout}").status_code == 404
        with Still(made.id):
            assert other.own.post(f"/v1/partner/payouts/{payout}/cancel").status_code == 404
            assert other.own.get("/v1/payouts").status_code == 403
            assert other.own.post(f"/v1/payouts/{payout}/approve").status_code == 403

    @pytest.mark.parametrize(("role", "status"), [("owner", 201), ("billing_admin", 201), ("member", 403)])
    def test_of_members_whose_matter_it_is_not(
        self, stripe_simulator: Simulator, role: str, status: int
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        member = make_member(made.id, role, team=None)
        own = caller(made.id, "payouts:write", member=str(member.id))
        assert own.post("/v1/partner/payouts", {}, key=unique()).status_code == status


class TestAHeldPayout:
    @pytest.mark.parametrize("state", [pytest.param("held", id="Z6")])
    def test_of_a_partner_under_review_is_paid_after_its_release(
        self, stripe_simulator: Simulator, state: str
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.change(hold_reason="Under review")

        answer = made.ask()

        assert (answer.status_code, answer.json()["status"], answer.json()["hold"]["code"]) == (
            201,
            state,
            "review",
        )
        assert made.commands() == []
        assert acted(answer.json()["id"], "release").json()["status"] == "approved"
        made.send()
        made.arrive()
        assert made.state() == "paid"

    def test_waits_for_its_new_bank_account_and_goes_on_by_itself(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        bank: Any = {
            "object": "bank_account", "country": "US", "currency": "usd", "routing_number": "110000000",
            "account_number": "000999999991",
        }  # fmt: skip
        given: Any = {"external_account": bank, "default_for_currency": True}
        stripe_simulator.sdk().v1.accounts.external_accounts.create(made.account, given)
        assert made.see().destination_changed_at is not None

        answer = made.ask()

        assert (answer.json()["status"], answer.json()["hold"]["code"]) == ("held", "destination_changed")
        assert acted(answer.json()["id"], "release").json()["status"] == "held"
        made.later(hours=71)
        advance_due()
        assert made.state() == "held"
        made.later(hours=2)
        advance_due()
        assert made.state() == "approved"

    def test_is_canceled_by_its_partner_and_can_be_withdrawn_again(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.change(hold_reason="Under review")
        payout = made.asked()

        assert made.own.post(f"/v1/partner/payouts/{payout}/cancel").json()["status"] == "canceled"

        assert made.money() == {"partner_payable": 5_000}
        assert problem(made.own.post(f"/v1/partner/payouts/{payout}/cancel")) == (409, "invalid_transition")
        assert made.ask().status_code == 201

    def test_is_rejected_with_a_reason(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        payout = made.asked()
        assert acted(payout, "hold", {"reason": "Looks odd"}).json()["hold"]["code"] == "manual"

        rejected = acted(payout, "reject", {"reason": "Wrong agent"}).json()

        assert (rejected["status"], rejected["failure"]["message"]) == ("canceled", "Wrong agent")
        made.send()
        assert (made.transfers(), made.money()) == ([], {"partner_payable": 5_000})

    def test_of_an_account_that_is_closed_before_it_is_sent(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        stripe_simulator.decide(account=made.account, to="restricted")
        made.see()

        made.send()

        assert (made.state(), made.payout().hold, made.transfers()) == ("held", "account_not_ready", [])
        stripe_simulator.decide(account=made.account, to="onboarded")
        made.see()
        made.send()
        made.arrive()
        assert made.state() == "paid"


class TestAPayoutAboveTheLimit:
    def test_waits_for_another_person(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=100_001)

        answer = made.ask()

        assert answer.json()["status"] == "pending_approval"
        assert problem(acted(answer.json()["id"], "approve")) == (403, "maker_cannot_approve")
        made.send()
        assert made.transfers() == []

    def test_of_the_limit_itself_does_not(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=100_000)
        assert made.ask().json()["status"] == "approved"


class TestWhatComesBack:
    def test_from_the_bank_is_the_partners_again(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        made.send()
        stripe_simulator.decide(payout=made.payout().payout, on=made.account, to="failed")
        made.hear()

        assert (made.state(), made.money()["partner_payable"]) == ("failed", 5_000)
        assert problem(made.ask()) == (409, "payout_under_way")
        made.send()
        assert made.money() == {"partner_payable": 5_000}
        assert made.transfers()[0].reversed
        assert_sound(made.id)

    def test_days_after_it_was_paid(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        stripe_simulator.decide(
            payout=made.payout().payout, on=made.account, to="failed", code="account_closed"
        )
        made.hear()
        made.send()

        assert (made.state(), made.money()) == ("failed", {"partner_payable": 5_000})
        assert made.payout().failure == {
            "code": "account_closed",
            "message": "The bank account has been closed.",
        }
        assert_sound(made.id)

    def test_by_the_platforms_wish_is_reversed(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        payout = made.paid()

        assert acted(payout, "reverse", {"reason": "Paid by mistake"}).status_code == 200
        made.send()
        made.hear()
        assert (made.state(), made.money()) == (
            "paid",
            {"processor_clearing": 5_000},
        )  # accepted is not there

        made.arrive()
        made.send()
        made.hear()

        assert (made.state(), made.money()) == ("reversed", {"partner_payable": 5_000})

    def test_by_a_reversal_in_the_dashboard_is_reversed(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        stripe_simulator.sdk().v1.transfers.reversals.create(made.transfers()[0].id)
        made.hear()

        assert (made.state(), made.money()) == ("reversed", {"partner_payable": 5_000})


class TestAPlatformWithoutMoney:
    def test_waits_and_tries_again(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000, funds=0)
        made.asked()
        made.send()
        assert (made.state(), made.payout().waits_for) == ("approved", "balance_insufficient")
        advance_due()
        assert len(made.commands("create_transfer")) == 1

        stripe_simulator.fund(10**6)
        made.later(minutes=16)
        advance_due()
        made.send()
        made.arrive()

        assert (made.state(), len(made.transfers())) == ("paid", 1)
        assert [one.generation for one in made.commands("create_transfer")] == [1, 2]


class TestWhatIsTakenBackAfterAPayout:
    def test_makes_the_balance_negative_and_is_made_up_for(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator)
        customer = made.earn(5_000)
        made.paid()

        made.lose(customer, 2_000)

        assert made.money() == {"partner_payable": -2_000, "processor_clearing": 5_000}
        made.later(hours=25)
        assert problem(made.ask()) == (422, "below_minimum_payout")
        made.earn(3_500)
        assert made.ask().json()["amount"] == "15.00"

    def test_once_it_was_sent_lets_it_arrive(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator)
        customer = made.earn(5_000)
        made.asked()
        made.send()
        made.lose(customer, 5_000)
        made.arrive()
        assert (made.state(), made.money()["partner_payable"]) == ("paid", -5_000)


class TestAnObjectThatIsNotWhatWasAskedFor:
    @pytest.mark.parametrize("wrong", [{"amount": 4_999 * 10**6}, {"currency": "EUR"}, {"status": "lost"}])
    def test_of_the_bank_moves_nothing_and_is_a_finding(
        self, stripe_simulator: Simulator, wrong: dict[str, Any]
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        made.send()
        (view,) = connect.list_partner_payouts(made.account)
        before = made.money()

        for _ in range(2):
            assert told(made, replace(view, **{"status": "paid", **wrong})).outcome == "parked"

        assert (made.state(), made.money(), kinds(made.id)) == ("processing", before, ["payout_differs"])
        made.arrive()
        assert made.state() == "paid"

    @pytest.mark.parametrize("wrong", [{"amount": 4_999 * 10**6}, {"currency": "EUR"}, {"id": "tr_other"}])
    def test_of_a_transfer_moves_nothing_and_is_a_finding(
        self, stripe_simulator: Simulator, wrong: dict[str, Any]
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.paid()
        (view,) = connect.list_transfers(destination=made.account)
        other = replace(view, reversed=view.amount, **wrong)

        answer = write(lambda cur: applying.apply_transfer(cur, other, author=AUTHOR))

        assert (answer.outcome, made.state(), kinds(made.id)) == ("parked", "paid", ["transfer_differs"])

    @pytest.mark.parametrize("status", ["in_transit", "paid"])
    def test_that_turns_up_after_the_partner_was_given_the_money_back_is_a_finding(
        self, stripe_simulator: Simulator, status: str
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        asked = made.asked()
        made.send(times=1)
        (payout,) = made.commands("create_payout", *OPEN_STATES)
        refused = Refused("payouts_not_allowed", None, "Not now.")
        write(lambda cur: settle_payout(cur, payout, refused))
        assert (made.state(), kinds(made.id)) == ("failed", ["payout_failed"])
        found = there(5_000 * CENT, status, metadata={"payout": str(asked)})
        before = made.money()

        assert told(made, found).outcome == "parked"

        assert made.money() == before
        assert kinds(made.id) == ["payout_differs", "payout_failed"]
        assert told(made, replace(found, status="failed")).outcome == "unchanged"

    def test_of_a_payout_that_came_back_is_no_news(self, stripe_simulator: Simulator) -> None:
        made = partner(stripe_simulator, cents=5_000)
        made.asked()
        made.send()
        (view,) = connect.list_partner_payouts(made.account)
        stripe_simulator.decide(payout=view.id, on=made.account, to="failed")
        made.hear()

        assert told(made, view).outcome == "unchanged"  # it was on its way, once

        assert kinds(made.id) == ["payout_failed"]
        assert told(made, replace(view, status="paid")).outcome == "parked"

    def test_of_another_account_or_with_anothers_name_is_foreign(self, stripe_simulator: Simulator) -> None:
        made, other = (partner(stripe_simulator, cents=5_000) for _ in range(2))
        asked = made.asked()
        early = there(5_000 * CENT, "paid", metadata={"payout": str(asked)})
        assert told(made, early).outcome == "foreign"  # nothing was transferred yet
        made.send()
        (view,) = connect.list_partner_payouts(made.account)
        paid, before = replace(view, status="paid"), made.payout()

        for who, wrong in ((other, paid), (other, early), (made, early)):
            assert told(who, wrong).outcome == "foreign"

        assert (made.payout(), kinds(made.id), kinds(other.id)) == (before, [], [])

    def test_of_an_account_that_names_a_partner_with_another_is_foreign(
        self, stripe_simulator: Simulator
    ) -> None:
        made = partner(stripe_simulator)
        named = {"organization": str(made.id)}
        other = replace(connect.account(made.account), id="acct_other", metadata=named)
        before = made.partner()

        answer = write(lambda cur: applying.apply_account(cur, other, author=AUTHOR))

        assert (answer.outcome, made.partner()) == ("foreign", before)

"""Invoices that are charged to a payment method, and money that goes back, through the API and the processor."""

import json
from decimal import Decimal
from typing import Any

import pytest

from billing.operations.commands import deliver
from billing.operations.payments.collecting import request_collection
from tests.builders.billing import CENT
from tests.builders.books import balances
from tests.builders.deliveries import post
from tests.builders.orgs import AUTHOR, caller, events_of, make_member, platform, unique, write
from tests.builders.paying import Payer, payer, paying
from tests.builders.processor import header, listed
from tests.builders.stripe import Simulator
from webhooks.operations.inbound.processing import process_due


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def refund(made: Payer, payment: Any, key: str | None = None, **body: Any) -> Any:
    return platform().post(
        f"/v1/payments/{payment}/refund", {"note": "By mistake", **body}, key=key or unique()
    )


def told(simulator: Simulator) -> None:
    """Everything that the processor has to say is delivered, and worked on."""
    for body in listed(simulator):
        assert post(body, header(body)).status_code == 200
    while process_due():
        pass


class TestAnInvoiceThatOpens:
    def test_is_charged_where_there_is_a_method(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)

        invoice = made.open_invoice(4_900)

        assert (invoice["status"], made.charged()) == ("open", [])
        made.send()
        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_900])
        made.made.assert_sound()

    def test_says_whose_it_is_in_everything_that_is_sent(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        invoice, payment = made.paid_invoice()

        (intent,) = stripe_simulator.sdk().v1.payment_intents.list()
        (command,) = made.commands("create_payment")

        assert intent.metadata.to_dict() == {
            "command": str(command.id),
            "organization": str(made.id),
            "payment": str(payment),
            "purpose": "invoice",
            "invoice": invoice["id"],
        }

    def test_waits_where_the_profile_says_so(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.made.profile(collection="send_invoice")

        invoice = made.open_invoice()
        made.send()

        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("open", [])

    def test_waits_where_there_is_no_method(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        made.made.profile(collection="charge_automatically")

        invoice = made.open_invoice()

        assert (invoice["status"], made.commands()) == ("open", [])
        assert problem(made.collect(invoice["id"])) == (422, "no_payment_method")

    def test_of_a_sandbox_is_never_charged(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator, sandbox=True)

        invoice = made.open_invoice()

        assert made.commands() == []
        assert problem(made.collect(invoice["id"])) == (422, "no_payment_method")


class TestCollecting:
    def test_asks_for_one_payment_whatever_is_said_how_often(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.made.profile(collection="send_invoice")
        invoice = made.open_invoice()
        key = unique()

        first = made.collect(invoice["id"], key=key)
        again = made.collect(invoice["id"], key=key)
        other = made.collect(invoice["id"])

        assert (first.status_code, first.json()) == (201, again.json())
        assert (first.json()["amount"], first.json()["status"]) == ("49.00", "requested")
        assert problem(other) == (409, "payment_under_way")
        assert (
            write(
                lambda cur: request_collection(
                    cur, organization=made.id, invoice=made.made.only()["id"], cause="test", author=AUTHOR
                )
            )
            is None
        )
        made.send()
        assert made.charged() == [4_900]
        assert problem(made.collect(invoice["id"])) == (409, "invalid_transition")

    def test_after_a_decline_is_a_new_payment(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator, "pm_card_chargeCustomerFail")
        invoice = made.open_invoice()
        made.send()
        assert [status for _, status, _ in made.payments()] == ["failed"]
        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("open", [])

        good = made.add_method()
        assert [one["id"] for one in made.methods() if one["is_default"]] == [good]
        made.collect(invoice["id"])
        made.send()

        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_900])
        made.made.assert_sound()

    def test_of_an_invoice_that_was_paid_by_bank_meanwhile_sends_nothing(
        self, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        invoice = made.open_invoice()
        assert made.made.pay(invoice["id"], "49.00").status_code == 200

        made.send()

        assert (made.charged(), stripe_simulator.requests("POST", "/v1/payment_intents")) == ([], [])
        (command,) = made.commands("create_payment")
        assert (command.state, command.error_code) == ("lapsed", "withdrawn")

    def test_of_an_invoice_that_is_paid_while_it_is_charged_leaves_credit(
        self, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        rule = {"kind": "timeout_after", "method": "POST", "path": "/v1/payment_intents", "seconds": 0.1}
        stripe_simulator.fail(rule)
        invoice = made.open_invoice()
        made.send()
        assert made.made.pay(invoice["id"], "49.00").status_code == 200
        stripe_simulator.fail()

        made.send_when_due()

        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_900])
        assert balances(made.id)["customer_credit"] == 4_900 * CENT
        made.made.assert_sound()

    def test_is_the_part_that_is_left(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.made.profile(collection="send_invoice")
        invoice = made.open_invoice()
        made.made.pay(invoice["id"], "9.00")

        made.collect(invoice["id"])
        made.send()

        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_000])

    def test_of_which_a_part_is_paid_meanwhile_asks_for_the_rest(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        invoice = made.open_invoice()
        made.made.pay(invoice["id"], "9.00")

        made.send()
        assert made.charged() == []
        made.send()

        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_000])
        assert [one.state for one in made.commands("create_payment")] == ["lapsed", "succeeded"]

    def test_that_the_customer_must_authenticate_gives_a_secret_and_ends_with_the_next(
        self, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        stripe_simulator.next_payment("*", "authenticate")
        invoice = made.open_invoice()
        made.send()
        ((payment, status, _),) = made.payments()

        secret = made.owner.post(f"/v1/payments/{payment}/authenticate").json()["client_secret"]

        assert (status, secret.startswith("pi_")) == ("failed", True)
        made.collect(invoice["id"])
        made.send()
        assert sorted(one.status for one in stripe_simulator.sdk().v1.payment_intents.list()) == [
            "canceled",
            "succeeded",
        ]
        assert made.charged() == [4_900]
        assert problem(made.owner.post(f"/v1/payments/{payment}/authenticate")) == (409, "invalid_transition")

    def test_waits_for_what_the_customer_completed_itself_and_goes_on_when_that_came_back(
        self, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        stripe_simulator.next_payment("*", "authenticate")
        invoice = made.open_invoice()
        made.send()
        (intent,) = stripe_simulator.sdk().v1.payment_intents.list()
        stripe_simulator.next_payment("*", "asynchronous_failure")
        stripe_simulator.sdk().v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
        made.collect(invoice["id"])
        made.send()
        assert [one.state for one in made.commands("cancel_payment")] == ["refused"]
        assert [one.error_code for one in made.commands("create_payment")][1:] == ["withdrawn"]
        assert made.charged() == []
        stripe_simulator.advance(60)
        told(stripe_simulator)

        assert made.collect(invoice["id"]).status_code == 201
        made.send()

        assert [one.state for one in made.commands("cancel_payment")] == ["refused", "succeeded"]
        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_900])
        assert stripe_simulator.sdk().v1.payment_intents.retrieve(intent.id).status == "canceled"
        made.made.assert_sound()

    @pytest.mark.parametrize("role", ["team_owner", "member"])
    def test_is_not_for(self, role: str, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.made.profile(collection="send_invoice")
        invoice = made.open_invoice()
        member = make_member(made.id, "member")
        who = caller(made.id, "billing:read", "billing:write", member=str(member.id))

        assert who.post(f"/v1/invoices/{invoice['id']}/collect", key=unique()).status_code == 403
        assert made.commands("create_payment") == []

    def test_another_organizations_invoice_is_not_there(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.made.profile(collection="send_invoice")
        invoice = made.open_invoice()
        stranger = payer(stripe_simulator)

        assert stranger.collect(invoice["id"]).status_code == 404
        assert made.commands("create_payment") == []


class TestARefund:
    def test_gives_back_a_part_and_then_the_rest(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        _, payment = made.paid_invoice()
        key = unique()

        first = refund(made, payment, key, amount="10.00", currency="USD")
        assert refund(made, payment, key, amount="10.00", currency="USD").json() == first.json()
        rest = refund(made, payment)
        made.send()

        assert (first.status_code, rest.status_code) == (201, 201)
        assert sorted(made.refunded()) == [1_000, 3_900]
        made.made.assert_sound()

    def test_is_no_more_than_what_is_left_also_while_one_is_on_its_way(
        self, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        _, payment = made.paid_invoice()
        refund(made, payment, amount="40.00", currency="USD")
        before = events_of(made.id)

        answers = [
            problem(refund(made, payment, amount="9.01", currency="USD")),
            problem(refund(made, payment, amount="9.00", currency="EUR")),
            problem(refund(made, payment, amount="9.00")),
            problem(refund(made, payment, note="")),
        ]

        assert answers == [
            (422, "amount_exceeds_available"),
            (422, "currency_mismatch"),
            (400, "invalid_field"),
            (400, "invalid_field"),
        ]
        assert events_of(made.id) == before
        made.send()
        assert problem(refund(made, payment, amount="9.01", currency="USD")) == (
            422,
            "amount_exceeds_available",
        )
        assert refund(made, payment, amount="9.00", currency="USD").status_code == 201

    def test_is_for_the_platform(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        _, payment = made.paid_invoice()

        answer = made.owner.post(f"/v1/payments/{payment}/refund", {"note": "mine"}, key=unique())

        assert (answer.status_code, made.commands("create_refund")) == (403, [])

    def test_that_the_processor_refuses_is_a_finding(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        _, payment = made.paid_invoice()
        refund(made, payment, amount="40.00", currency="USD")
        (charge,) = stripe_simulator.sdk().v1.charges.list()
        stripe_simulator.refund(charge.id, 4_000)

        made.send()

        (command,) = made.commands("create_refund")
        assert command.state == "refused"
        found = write(
            lambda cur: cur.execute(
                "SELECT kind, status FROM findings WHERE organization = %s AND kind = 'refund_refused'",
                (made.id,),
            ).fetchall()
        )
        assert found == [("refund_refused", "open")]

    def test_of_a_credit_note_takes_its_credit_with_it_once(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        invoice, _ = made.paid_invoice()
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Half", "amount": "20.00"}).json()
        assert balances(made.id)["customer_credit"] == 2_000 * CENT

        answers = [platform().post(f"/v1/credit-notes/{note['id']}/refund", key=unique()) for _ in range(2)]
        made.send()

        assert [one.status_code for one in answers] == [200, 200]
        assert answers[0].json()["data"][0]["id"] == answers[1].json()["data"][0]["id"]
        assert made.refunded() == [2_000]
        assert balances(made.id).get("customer_credit", 0) == 0
        assert made.invoice(invoice["id"])["status"] == "paid"
        made.made.assert_sound()

    def test_of_a_credit_note_asks_again_for_what_the_processor_refused_only(
        self, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        invoice, first = made.paid_invoice()
        refund(made, first, amount="30.00", currency="USD")
        made.send()
        platform().post(f"/v1/invoices/{invoice['id']}/collect", key=unique())
        made.send()
        assert (made.charged(), made.invoice(invoice["id"])["status"]) == ([3_000, 4_900], "paid")
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Late", "amount": "45.00"}).json()
        address = f"/v1/credit-notes/{note['id']}/refund"
        asked = platform().post(address, key=unique()).json()["data"]
        assert sorted(json.loads(one["parameters"])["amount"] for one in asked) == [1_500, 3_000]
        charge = next(one for one in stripe_simulator.sdk().v1.charges.list() if one.amount == 4_900)
        stripe_simulator.refund(charge.id, 1_900)  # in the processor's dashboard, before ours is sent
        made.send()

        again = platform().post(address, key=unique()).json()["data"]

        (kept,) = [one["id"] for one in again if one["status"] == "succeeded"]
        (anew,) = [one for one in again if one["id"] != kept]
        assert kept in [one["id"] for one in asked]
        assert anew["id"] not in [one["id"] for one in asked]
        assert (anew["status"], json.loads(anew["parameters"])["amount"]) == ("pending", 1_500)
        same = platform().post(address, key=unique()).json()["data"]
        assert [one["id"] for one in same] == [one["id"] for one in again]

    @pytest.mark.parametrize("is_sent", [True, False], ids=["that went", "on its way"])
    def test_of_a_credit_note_is_less_by_what_another_refund_takes(
        self, is_sent: bool, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        invoice, payment = made.paid_invoice()
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Half", "amount": "20.00"}).json()
        refund(made, payment, amount="12.00", currency="USD")
        if is_sent:
            made.send()

        answer = platform().post(f"/v1/credit-notes/{note['id']}/refund", key=unique())
        made.send()

        assert answer.status_code == 200
        assert (sorted(made.refunded()), made.invoice(invoice["id"])["status"]) == ([800, 1_200], "paid")
        assert balances(made.id).get("customer_credit", 0) == 0
        made.made.assert_sound()

    @pytest.mark.parametrize("is_sent", [True, False], ids=["that went", "on its way"])
    def test_of_a_credit_note_whose_credit_another_refund_took_is_refused(
        self, is_sent: bool, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator)
        invoice, payment = made.paid_invoice()
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Half", "amount": "20.00"}).json()
        refund(made, payment, amount="20.00", currency="USD")
        if is_sent:
            made.send()
        before = events_of(made.id)

        answer = platform().post(f"/v1/credit-notes/{note['id']}/refund", key=unique())

        assert (problem(answer), events_of(made.id)) == ((409, "invalid_transition"), before)
        made.send()
        assert (made.refunded(), made.invoice(invoice["id"])["status"]) == ([2_000], "paid")
        made.made.assert_sound()

    def test_of_a_credit_note_over_what_was_never_paid_is_refused(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        invoice = made.open_invoice()
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Half", "amount": "20.00"}).json()

        answer = platform().post(f"/v1/credit-notes/{note['id']}/refund", key=unique())

        assert problem(answer) == (409, "invalid_transition")


class TestACommandOnItsPage:
    def test_is_shown_to_the_platform_only(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.paid_invoice()
        (command,) = made.commands("create_payment")

        listed = (
            platform()
            .get(
                "/v1/payment-commands",
                organization=str(made.id),
                purpose="create_payment",
                status="succeeded",
            )
            .json()["data"]
        )
        one = platform().get(f"/v1/payment-commands/{command.id}").json()

        assert listed == [one]
        assert (one["status"], one["attempts"], one["object_id"][:3]) == ("succeeded", 1, "pi_")
        assert Decimal("49.00") == Decimal(made.invoice(made.made.only()["id"])["paid"])
        assert made.owner.get("/v1/payment-commands").status_code == 403
        assert made.owner.get(f"/v1/payment-commands/{command.id}").status_code == 403
        for verb in ("send", "look"):
            assert problem(platform().post(f"/v1/payment-commands/{command.id}/{verb}")) == (
                409,
                "invalid_transition",
            )

    def test_is_sent_again_at_once_under_its_key(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        made.made.profile(collection="send_invoice")
        invoice = made.open_invoice()
        made.collect(invoice["id"])
        (command,) = made.commands("create_payment")
        stripe_simulator.fail({"kind": "rate_limit", "method": "POST", "path": "/v1/payment_intents"})
        assert deliver(command.id).state == "sending"
        stripe_simulator.fail()
        assert deliver(command.id).state == "sending"

        answer = platform().post(f"/v1/payment-commands/{command.id}/send")

        assert answer.status_code == 200
        assert deliver(command.id).state == "succeeded"
        assert made.charged() == [4_900]

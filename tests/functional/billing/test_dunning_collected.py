"""Dunning that is paid through the processor: retries, hard declines, a bank that asks, a new card, and invoices that
live there. The processor is the simulator over HTTP; what it says comes by its signed events."""

from typing import Any
from uuid import UUID

import pytest

from billing.operations.dunning.advancing import advance_customer
from billing.operations.dunning.due import advance_customers, claim_due
from billing.queries.dunning import history_of_case, list_cases
from tests.builders.billing import item, owe
from tests.builders.books import balances, rows
from tests.builders.deliveries import post
from tests.builders.dunning import usual_policy
from tests.builders.gate import units
from tests.builders.orgs import platform, unique, write
from tests.builders.paying import Payer, payer, paying
from tests.builders.payments import findings
from tests.builders.processor import header, listed
from tests.builders.stripe import Outcome, Simulator
from webhooks.operations.inbound.processing import process_due

FAILING = "pm_card_chargeCustomerFail"
ASKING = "pm_card_authenticationRequired"


def late(simulator: Simulator, method: str = FAILING) -> Payer:
    """A customer whose invoices are due at once, with a card."""
    made = paying(simulator, method)
    made.made.profile(net_days=0)
    return made


def look(made: Payer) -> None:
    """The timer looks."""
    write(lambda cur: advance_customer(cur, organization=made.id))


def newest(made: Payer) -> Any:
    """Its newest case; None without one."""
    found = write(lambda cur: list_cases(cur, organization=made.id, limit=10))
    return found[0] if found else None


def history(made: Payer) -> list[str]:
    """What happened to its newest case."""
    rows = write(lambda cur: history_of_case(cur, newest(made), after=None, limit=500))
    return [row.type.removeprefix("dunning_case.") for row in rows]


def gate(made: Payer) -> tuple[int, str | None]:
    """What a call is told."""
    answer = made.made.customer.reserve("0.01")
    return answer.status_code, answer.json().get("code")


def told(simulator: Simulator) -> None:
    """Everything that the processor has to say is delivered, and worked on."""
    for body in listed(simulator):
        assert post(body, header(body)).status_code == 200
    while process_due():
        pass


class TestAFirstCollection:
    def test_comes_before_anybody_is_past_due(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator)
        made.open_invoice()
        look(made)
        assert newest(made) is None
        made.send()
        assert (newest(made).state, history(made)) == ("past_due", ["opened", "payment_failed"])

    def test_that_goes_through_leaves_no_trace(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        invoice = made.open_invoice()
        look(made)
        made.send()
        look(made)
        assert (made.invoice(invoice["id"])["status"], newest(made)) == ("paid", None)

    def test_that_was_never_made_keeps_nobody_out_of_dunning(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator)
        made.open_invoice()
        move_payments(made, "-25 hours")
        look(made)
        move_payments(made, "25 hours")  # as the events have it
        assert newest(made).state == "past_due"


class TestACustomerWhoseCardFails:
    def test_is_suspended_and_works_again_with_the_payment_of_a_new_card(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator)
        with usual_policy((0, "retry"), (0, "throttle"), (0, "suspend")):
            invoice = made.open_invoice()
            made.send()
            assert newest(made).pending == (UUID(invoice["id"]),)
            made.send()
        assert history(made) == [
            "opened",
            "payment_failed",
            "retried",
            "payment_failed",
            "grace",
            "suspended",
        ]
        assert gate(made) == (403, "suspended")
        setup = made.setup().json()["setup_intent"]
        stripe_simulator.decide(setup_intent=setup, method="pm_card_visa")
        told(stripe_simulator)
        assert (history(made)[-1], gate(made)) == ("retried", (403, "suspended"))
        made.send()
        assert (made.invoice(invoice["id"])["status"], newest(made).state) == ("paid", "closed")
        assert gate(made) == (201, None)
        told(stripe_simulator)
        assert made.charged() == [4_900]
        made.made.assert_sound()

    def test_hears_the_end_by_the_event_when_the_answer_was_lost(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator)
        with usual_policy((0, "suspend")):
            made.open_invoice()
            made.send()
        stripe_simulator.decide(setup_intent=made.setup().json()["setup_intent"], method="pm_card_visa")
        told(stripe_simulator)
        stripe_simulator.fail(
            {"kind": "reset_after", "method": "POST", "path": "/v1/payment_intents", "count": 9}
        )
        made.send()
        assert gate(made) == (403, "suspended")
        told(stripe_simulator)
        assert (newest(made).state, gate(made)) == ("closed", (201, None))

    def test_of_a_hard_decline_is_not_asked_again_until_there_is_another(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        customer = made.commands("create_customer")[0].object_id
        stripe_simulator.next_payment(str(customer), "decline", decline_code="lost_card")
        with usual_policy((0, "retry"), (0, "suspend")):
            invoice = made.open_invoice()
            made.send()
        assert history(made) == ["opened", "payment_failed", "retry_skipped", "suspended"]
        assert len(made.commands("create_payment")) == 1
        stripe_simulator.decide(setup_intent=made.setup().json()["setup_intent"], method="pm_card_mastercard")
        told(stripe_simulator)
        made.send()
        assert (made.invoice(invoice["id"])["status"], gate(made)) == ("paid", (201, None))

    def test_of_a_bank_debit_that_bounced_pays_with_the_card_that_comes_after_it(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "asynchronous_failure")
        with usual_policy((0, "suspend")):
            invoice = made.open_invoice()
            made.send()
            assert ([one.state for one in made.commands("create_payment")], newest(made)) == (
                ["succeeded"],
                None,
            )
            stripe_simulator.advance(60)
            told(stripe_simulator)
            assert (history(made), gate(made)) == (
                ["opened", "payment_failed", "suspended"],
                (403, "suspended"),
            )
            card = made.add_method("pm_card_mastercard")
            made.send()
        assert [one["id"] for one in made.methods() if one["is_default"]] == [card]
        assert [one.params["payment_method"] for one in made.commands("create_payment")][1:] == [card]
        assert (made.invoice(invoice["id"])["status"], gate(made)) == ("paid", (201, None))

    def test_who_pays_a_part_while_a_retry_waits_is_asked_for_the_rest_before_anything_else(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "decline")
        with usual_policy((0, "retry"), (0, "suspend")):
            invoice = made.open_invoice()
            made.send()
        assert made.made.pay(invoice["id"], "39.00").status_code == 200
        made.send()
        assert [one.state for one in made.commands("create_payment")] == ["refused", "lapsed", "pending"]
        assert (history(made), gate(made)) == (["opened", "payment_failed", "retried"], (201, None))
        assert newest(made).pending == (UUID(invoice["id"]),)
        made.send()
        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [1_000])
        assert history(made) == ["opened", "payment_failed", "retried", "closed"]
        made.made.assert_sound()

    def test_whose_rest_cannot_be_asked_for_goes_on_without_another_failure(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "decline")
        with usual_policy((0, "retry"), (0, "suspend")):
            invoice = made.open_invoice()
            made.send()
        assert made.made.pay(invoice["id"], "39.00").status_code == 200
        (method,) = [one["id"] for one in made.methods()]
        assert made.owner.delete(f"/v1/payment-methods/{method}").status_code in (200, 204)
        made.send()
        assert history(made) == ["opened", "payment_failed", "retried", "partly_settled", "suspended"]
        assert (newest(made).failures, newest(made).pending) == (1, ())

    def test_whose_bank_asks_pays_by_answering_it(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        setup = made.setup().json()["setup_intent"]
        stripe_simulator.decide(setup_intent=setup, method=ASKING)
        stripe_simulator.decide(setup_intent=setup)
        told(stripe_simulator)
        other = next(one["id"] for one in made.methods() if not one["is_default"])
        assert made.owner.post(f"/v1/payment-methods/{other}/default").status_code == 200
        made.send()
        with usual_policy((0, "retry"), (0, "suspend")):
            invoice = made.open_invoice()
            made.send()
        assert history(made) == ["opened", "payment_failed", "retry_skipped", "suspended"]
        payment = made.payments()[-1][0]
        answer = made.owner.post(f"/v1/payments/{payment}/authenticate")
        assert answer.status_code == 200, answer.content
        intent = answer.json()["payment_intent"]
        stripe_simulator.sdk().v1.payment_intents.confirm(intent, {"payment_method": ASKING})
        stripe_simulator.decide(payment_intent=intent, to="succeeded")
        told(stripe_simulator)
        assert (made.invoice(invoice["id"])["status"], gate(made)) == ("paid", (201, None))


class TestAnAmountThatCannotBeCharged:
    """Finer than the processor moves, or less: one finding, and nobody is suspended for it with a good card."""

    @pytest.mark.parametrize(
        ("currency", "units", "code"),
        [("KWD", 1_234_500_000, "amount_too_fine"), ("USD", 30_000_000, "amount_too_small")],
        ids=["too fine after a payment", "too little"],
    )
    def test_is_a_finding_and_dunned_for_only_when_a_person_has_decided_so(
        self, currency: str, units: int, code: str, stripe_simulator: Simulator
    ) -> None:
        made = paying(stripe_simulator, currency=currency)
        made.made.profile(net_days=0)
        owe(made.id, item(currency=currency, amount=units))
        made.made.run()
        (invoice,) = made.made.invoices()
        assert made.made.act(invoice["id"], "finalize").status_code == 200
        if code == "amount_too_fine":  # an invoice is not, but for what came for it otherwise
            assert made.invoice(invoice["id"])["due"] == "12.350"
            assert made.made.pay(invoice["id"], "0.005", currency=currency).status_code == 200
        made.send()
        look(made)
        assert (newest(made), gate(made)) == (None, (201, None))
        (finding,) = findings(made.id)
        assert (finding.kind, finding.subject) == ("amount_not_chargeable", f"invoice:{invoice['id']}")
        assert (finding.detail["code"], finding.detail["due"]) == (code, units)
        again = made.collect(invoice["id"])
        assert again.status_code == (422 if code == "amount_too_fine" else 201)
        made.send()
        assert [one.id for one in findings(made.id)] == [finding.id]
        resolved = platform().post(
            f"/v1/findings/{finding.id}/resolve", {"reason": "It pays by bank"}, key=unique()
        )
        assert resolved.status_code == 200
        with usual_policy((0, "retry"), (0, "suspend")):
            look(made)
            made.send()
        assert (newest(made).state, newest(made).failures, findings(made.id)) == ("suspended", 0, [])
        due = made.invoice(invoice["id"])["due"]
        assert made.made.pay(invoice["id"], due, currency=currency).status_code == 200
        assert (newest(made).state, gate(made)) == ("closed", (201, None))


class TestAnInvoiceThatLivesThere:
    """`source: stripe`: mirrored. The processor collects it; what fails there is in the same case (S90)."""

    def mirrored(self, simulator: Simulator, method: str) -> tuple[Payer, str]:
        made = paying(simulator, "pm_card_visa")
        client = simulator.sdk()
        customer = client.v1.customers.create({"email": "anna@example.org"}).id
        use_card(simulator, customer, method)
        link = {"customer": customer, "organization": str(made.id)}
        assert platform().post("/v1/mirrored-customers", link).status_code == 201
        seeded = simulator.seed(subscription={"customer": customer, "amount": 2_000})
        price = seeded["items"]["data"][0]["price"]["id"]
        body = {"price": price, "name": "Pro", "credit": "15", "currency": "USD"}
        assert platform().post("/v1/credit-prices", body).status_code == 201
        return made, str(seeded["id"])

    def test_and_fails_there_is_in_the_customers_case_until_it_is_paid_there(
        self, stripe_simulator: Simulator
    ) -> None:
        made, subscription = self.mirrored(stripe_simulator, FAILING)
        with usual_policy((0, "retry"), (0, "suspend")):
            stripe_simulator.decide(subscription=subscription, renew=True)
            told(stripe_simulator)
        assert (newest(made).state, gate(made)) == ("suspended", (403, "suspended"))
        assert made.commands("create_payment") == []
        shown = platform().get(f"/v1/dunning-cases/{newest(made).id}").json()
        assert [one["due"] for one in shown["unpaid"]] == ["20.00"]
        (invoice,) = [
            one["invoice"] for one in made.made.reader.get("/v1/mirrored-invoices").json()["data"]
            if one["status"] == "open"
        ]  # fmt: skip
        use_card(stripe_simulator, shown_customer(made), "pm_card_visa")
        stripe_simulator.decide(invoice=invoice, to="paid")
        told(stripe_simulator)
        assert (newest(made).state, gate(made)) == ("closed", (201, None))
        made.made.assert_sound()

    def test_counts_each_attempt_that_fails_there_and_writes_no_letter_twice(
        self, stripe_simulator: Simulator
    ) -> None:
        made, subscription = self.mirrored(stripe_simulator, FAILING)
        with usual_policy((0, "suspend")):
            stripe_simulator.decide(subscription=subscription, renew=True)
            told(stripe_simulator)
        assert newest(made).failures == 1
        (invoice,) = [
            one["invoice"] for one in made.made.reader.get("/v1/mirrored-invoices").json()["data"]
            if one["status"] == "open"
        ]  # fmt: skip
        for _ in range(2):  # seen in one look
            stripe_simulator.decide(invoice=invoice, to="paid")
        told(stripe_simulator)
        assert newest(made).failures == 3
        stripe_simulator.decide(invoice=invoice, to="paid")
        told(stripe_simulator)
        told(stripe_simulator)
        assert newest(made).failures == 4
        assert history(made).count("payment_failed") == 4
        statement = "SELECT notice FROM dunning_notices WHERE organization = %s ORDER BY notice"
        assert rows(statement, made.id) == [("past_due",), ("suspended",)]
        made.made.assert_sound()

    @pytest.mark.parametrize("comes_back", [True, False])
    def test_whose_bank_debit_runs_has_not_failed(
        self, comes_back: bool, stripe_simulator: Simulator
    ) -> None:
        made, subscription = self.mirrored(stripe_simulator, "pm_card_visa")
        outcome: Outcome = "asynchronous_failure" if comes_back else "asynchronous"
        stripe_simulator.next_payment(shown_customer(made), outcome)
        with usual_policy((0, "suspend")):
            stripe_simulator.decide(subscription=subscription, renew=True)
            told(stripe_simulator)
            (shown,) = made.made.reader.get("/v1/mirrored-invoices").json()["data"]
            assert (shown["status"], shown["failed"], shown["attempts"]) == ("open", False, 0)
            look(made)
            assert (newest(made), gate(made)) == (None, (201, None))
            stripe_simulator.advance(60)
            told(stripe_simulator)
        (shown,) = made.made.reader.get("/v1/mirrored-invoices").json()["data"]
        if comes_back:
            assert (shown["status"], shown["failed"], shown["attempts"]) == ("open", True, 1)
            assert (newest(made).state, newest(made).failures) == ("suspended", 1)
        else:
            assert (shown["status"], shown["credit"], newest(made)) == ("paid", "15", None)
        made.made.assert_sound()

    def test_and_is_paid_books_its_fee_and_what_goes_back_on_its_customer(
        self, stripe_simulator: Simulator
    ) -> None:
        made, subscription = self.mirrored(stripe_simulator, "pm_card_visa")
        stripe_simulator.decide(subscription=subscription, renew=True)
        told(stripe_simulator)
        make_parked_due()
        told(stripe_simulator)
        (paid,) = [one for one in payments_of(made) if one["purpose"] == "mirrored"]
        assert (paid["received"], paid["status"]) == ("20", "succeeded")
        assert balances(made.id)["processor_fees"] == -units("0.88")
        findings = (
            platform().get("/v1/findings", organization=str(made.id), kind="paid_besides_credit").json()
        )
        assert [one["status"] for one in findings["data"]] == ["open"]
        assert balances(made.id)["suspense"] == units("5")
        refused = platform().post(f"/v1/payments/{paid['id']}/refund", {"note": "it asked"}, key=unique())
        assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
        intent = stripe_simulator.sdk().v1.payment_intents.retrieve(paid["processor_id"])
        stripe_simulator.refund(str(intent.latest_charge), 1_800)
        told(stripe_simulator)
        books = balances(made.id)
        assert (books.get("customer_credit", 0), books["suspense"]) == (0, units("2"))
        assert -books["processor_clearing"] == units("2") - units("0.88")
        told(stripe_simulator)
        assert balances(made.id) == books
        made.made.assert_sound()


class TestHandingOut:
    def test_takes_a_customer_once_until_its_claim_ends_or_it_is_done(
        self, stripe_simulator: Simulator
    ) -> None:
        made = payer(stripe_simulator)
        made.made.profile(net_days=0)
        made.open_invoice()
        assert made.id in write(claim_due)
        assert made.id not in write(claim_due)
        write(
            lambda cur: cur.execute(
                "UPDATE dunning_claims SET claimed_at = claimed_at - interval '2 minutes'"
            )
        )
        assert made.id in write(claim_due)
        assert advance_customers([made.id]) == 1
        left = "SELECT 1 FROM dunning_claims WHERE organization = %s"
        assert write(lambda cur: cur.execute(left, (made.id,)).fetchall()) == []
        assert (newest(made).state, advance_customers([made.id])) == ("past_due", 0)


def make_parked_due() -> None:
    """Let what was parked be looked at again."""
    write(
        lambda cur: cur.execute(
            "UPDATE stripe_events SET next_at = now() WHERE state = 'parked' AND next_at > now()"
        )
    )


def payments_of(made: Payer) -> list[dict[str, Any]]:
    """Its payments as it reads them."""
    found: list[dict[str, Any]] = made.made.reader.get("/v1/payments").json()["data"]
    return found


def move_payments(made: Payer, by: str) -> None:
    """Let its payments have been asked for at another time."""
    statement = "UPDATE payments SET created_at = created_at + %s::interval WHERE organization = %s"
    write(lambda cur: cur.execute(statement, (by, made.id)))


def use_card(simulator: Simulator, customer: str, method: str) -> None:
    """Have a customer at the processor pay by another card there."""
    client = simulator.sdk()
    attached = client.v1.payment_methods.attach(method, {"customer": customer})
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": attached.id}})


def shown_customer(made: Payer) -> str:
    """Its other customer at the processor, whose subscription lives there."""
    found = platform().get("/v1/mirrored-customers", limit="100").json()["data"]
    return str(next(one["customer"] for one in found if one["organization"] == str(made.id)))

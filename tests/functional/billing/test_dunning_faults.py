"""What is not paid for no fault of its customer: our key, the account, an amount that nobody can charge, a dead method
beside a good one. Nobody is suspended for it. The processor is the simulator over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.queries.dunning import organizations_due
from tests.builders.dunning import usual_policy
from tests.builders.orgs import platform, unique, write
from tests.builders.paying import Payer
from tests.builders.payments import findings, kinds
from tests.builders.stripe import Simulator
from tests.functional.billing.test_dunning_collected import (
    gate,
    history,
    late,
    look,
    move_payments,
    newest,
    told,
)

MINUTE = timedelta(minutes=1)


def is_due(made: Payer) -> bool:
    """Whether the timer would look at it; it does not."""
    return made.id in write(lambda cur: organizations_due(cur, limit=10_000, claim=MINUTE, longest=MINUTE))


def resolve(finding: UUID) -> None:
    """A person settles a finding."""
    answer = platform().post(f"/v1/findings/{finding}/resolve", {"reason": "It is mended"}, key=unique())
    assert answer.status_code == 200, answer.content


def default_of(made: Payer) -> list[str]:
    """The method that pays."""
    return [one["id"] for one in made.methods() if one["is_default"]]


def asked_by(made: Payer) -> list[Any]:
    """By which methods it was asked, in order."""
    return [one.params["payment_method"] for one in made.commands("create_payment")]


class TestAFailureThatIsOurs:
    def test_of_a_key_without_the_right_is_no_declined_card_and_is_sent_again_by_itself(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.fail({"kind": "forbidden", "method": "POST", "path": "/v1/payment_intents"})
        with usual_policy((0, "suspend")):
            invoice = made.open_invoice()
            made.send()
        (command,) = made.commands("create_payment")
        assert (command.state, command.note, findings(made.id)) == ("sending", "credentials", [])
        assert (newest(made), gate(made)) == (None, (201, None))
        stripe_simulator.fail()
        made.send_when_due()
        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [4_900])
        made.made.assert_sound()

    @pytest.mark.parametrize("cause", ["limited", "another account"])
    def test_of_the_account_is_a_finding_and_suspends_nobody_while_that_is_open(
        self, cause: str, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        if cause == "limited":
            stripe_simulator.fail({"kind": "test_only", "method": "POST", "path": "/v1/payment_intents"})
        else:
            stripe_simulator.reset()  # the key is of an account that knows none of our customers
        with usual_policy((0, "suspend")):
            invoice = made.open_invoice()
            made.send()
            (command,) = made.commands("create_payment")
            assert (command.state, kinds(made.id)) == ("wrong", ["command_stopped"])
            assert (made.payments()[0][1], newest(made)) == ("requested", None)
            move_payments(made, "-25 hours")
            look(made)
        assert (newest(made).state, newest(made).failures, gate(made)) == ("past_due", 0, (201, None))
        assert not is_due(made)
        resolve(findings(made.id)[0].id)
        assert is_due(made)
        look(made)
        assert (newest(made).state, gate(made)) == ("suspended", (403, "suspended"))
        move_payments(made, "25 hours")  # as the events have it
        assert made.made.pay(invoice["id"], "49.00").status_code == 200
        assert (newest(made).state, gate(made)) == ("closed", (201, None))
        made.made.assert_sound()

    def test_is_none_of_a_customer_that_was_deleted_there(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        (customer,) = stripe_simulator.sdk().v1.customers.list()
        stripe_simulator.sdk().v1.customers.delete(customer.id)
        made.open_invoice()
        made.send()
        (command,) = made.commands("create_payment")
        assert (command.state, command.error_code) == ("refused", "resource_missing")
        assert (newest(made).state, newest(made).failures) == ("past_due", 1)


class TestWhatIsLeftAndNobodyCanCharge:
    def test_suspends_nobody_until_a_person_has_decided_so(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "decline")
        with usual_policy((0, "retry"), (0, "suspend")):
            invoice = made.open_invoice()
            made.send()
        assert made.made.pay(invoice["id"], "48.70").status_code == 200
        for _ in range(2):
            made.send()
        (finding,) = findings(made.id)
        assert (finding.kind, finding.detail["due"]) == ("amount_not_chargeable", 30_000_000)
        look(made)
        assert (newest(made).state, newest(made).failures, gate(made)) == ("past_due", 1, (201, None))
        assert not is_due(made)
        for due, expected in (
            ("1", True),
            ("30000000", False),
        ):  # a finding about another amount says nothing
            write(
                lambda cur, due=due: cur.execute(
                    "UPDATE findings SET detail = jsonb_set(detail, '{due}', %s::jsonb) WHERE id = %s",
                    (due, finding.id),
                )
            )
            assert is_due(made) is expected
        assert made.made.pay(invoice["id"], "0.10").status_code == 200
        assert (findings(made.id), history(made)[-1]) == ([], "retried")  # another amount is asked for
        made.send()
        (finding,) = findings(made.id)
        assert (finding.detail["due"], newest(made).state) == (20_000_000, "past_due")
        resolve(finding.id)
        assert is_due(made)
        look(made)
        assert (newest(made).state, gate(made)) == ("suspended", (403, "suspended"))
        assert made.made.pay(invoice["id"], "0.20").status_code == 200
        assert (newest(made).state, gate(made), made.charged()) == ("closed", (201, None), [])
        made.made.assert_sound()

    def test_is_charged_when_so_much_was_paid_that_it_can_be(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        invoice = made.open_invoice(120_000_000)
        made.send()
        look(made)
        assert (kinds(made.id), newest(made)) == (["amount_not_chargeable"], None)
        assert made.made.pay(invoice["id"], "700000.00").status_code == 200
        assert findings(made.id) == []
        with usual_policy((0, "retry"), (0, "suspend")):
            assert is_due(made)
            look(made)
            made.send()
        assert (made.invoice(invoice["id"])["status"], made.charged()) == ("paid", [50_000_000])
        assert (newest(made).state, gate(made)) == ("closed", (201, None))


class TestAMethodThatWasLeftWhileADebitRan:
    def test_pays_when_that_comes_back_and_nobody_is_suspended(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "asynchronous_failure")
        invoice = made.open_invoice()
        made.send()
        dead = default_of(made)
        card = made.add_method("pm_card_mastercard")
        assert (default_of(made), newest(made)) == (dead, None)
        stripe_simulator.advance(60)
        with usual_policy((0, "suspend")):
            told(stripe_simulator)
        assert history(made) == ["opened", "method_noted", "payment_failed", "retried"]
        assert (default_of(made), gate(made)) == ([card], (201, None))
        made.send()
        assert asked_by(made) == [*dead, card]
        assert (made.invoice(invoice["id"])["status"], newest(made).state) == ("paid", "closed")
        made.made.assert_sound()

    def test_pays_in_a_case_in_place_of_the_one_that_came_back(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "decline")
        stripe_simulator.next_payment("*", "asynchronous_failure")
        with usual_policy((0, "retry"), (0, "suspend")):
            invoice = made.open_invoice()
            for _ in range(2):
                made.send()
        dead = default_of(made)
        card = made.add_method("pm_card_mastercard")
        stripe_simulator.advance(60)
        told(stripe_simulator)
        made.send()
        assert asked_by(made) == [*dead, *dead, card]
        assert (made.invoice(invoice["id"])["status"], gate(made)) == ("paid", (201, None))

    def test_is_asked_at_once_where_its_owner_has_chosen_it_already(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        card = made.add_method("pm_card_mastercard")
        dead = default_of(made)
        customer = made.commands("create_customer")[0].object_id
        stripe_simulator.next_payment(str(customer), "asynchronous_failure")
        invoice = made.open_invoice()
        made.send()
        assert made.owner.post(f"/v1/payment-methods/{card}/default").status_code == 200
        stripe_simulator.decide(payment_intent=made.commands("create_payment")[0].object_id, to="failed")
        with usual_policy((0, "suspend")):
            told(stripe_simulator)
        made.send()
        assert (asked_by(made), made.invoice(invoice["id"])["status"]) == ([*dead, card], "paid")

    def test_is_not_a_card_that_the_network_renewed_meanwhile(self, stripe_simulator: Simulator) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        chosen, older = default_of(made), made.add_method("pm_card_mastercard")
        stripe_simulator.next_payment("*", "asynchronous_failure")
        made.open_invoice()
        made.send()
        stripe_simulator.sdk().v1.payment_methods.update(older, {"card": {"exp_year": 2040}})
        stripe_simulator.advance(60)
        with usual_policy((0, "suspend")):
            told(stripe_simulator)
        made.send()
        assert [one["exp_year"] for one in made.methods() if one["id"] == older] == [2040]
        assert (default_of(made), asked_by(made)) == (chosen, chosen)
        assert history(made)[-2:] == ["payment_failed", "suspended"]

    def test_pays_also_when_what_came_back_was_cancelled_by_the_next_collection(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "asynchronous_failure")
        invoice = made.open_invoice()
        made.send()
        stripe_simulator.advance(60)
        told(stripe_simulator)
        assert made.collect(invoice["id"]).status_code == 201
        assert made.made.pay(invoice["id"], "49.00").status_code == 200
        made.send()
        told(stripe_simulator)
        assert [status for _, status, _ in made.payments()] == ["canceled", "failed"]
        card = made.add_method("pm_card_mastercard")
        assert default_of(made) == [card]

    def test_begins_no_new_wait_for_the_debit_and_is_asked_when_that_came_back(
        self, stripe_simulator: Simulator
    ) -> None:
        made = late(stripe_simulator, "pm_card_visa")
        stripe_simulator.next_payment("*", "decline")
        stripe_simulator.next_payment("*", "asynchronous_failure")
        with usual_policy((30, "suspend")):
            invoice = made.open_invoice()
            made.send()
        assert made.collect(invoice["id"]).status_code == 201
        made.send()
        move_payments(made, "-25 hours")
        card = made.add_method("pm_card_mastercard")
        assert made.owner.post(f"/v1/payment-methods/{card}/default").status_code == 200
        assert (newest(made).pending, newest(made).wants_retry, len(asked_by(made))) == ((), True, 2)
        assert history(made)[-1] == "retry_skipped"
        move_payments(made, "25 hours")  # as the events have it
        stripe_simulator.advance(60)
        told(stripe_simulator)
        made.send()
        assert (asked_by(made)[2:], made.invoice(invoice["id"])["status"]) == ([card], "paid")
        made.made.assert_sound()

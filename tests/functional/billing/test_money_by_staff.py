"""Money that the staff moves on its pages: refunds, collections and top-ups, by the operations of the API."""

from __future__ import annotations

from typing import Any

from billing.models import PaymentCustomer
from tests.builders.paying import Payer, payer, paying
from tests.builders.stripe import Simulator
from tests.functional.webhooks.test_inbox_admin import staff
from tests.invariants import Still, assert_sound


def chosen(action: str, name: Any, **said: str) -> dict[str, str]:
    """The form of an action on one row."""
    return {"action": action, "_selected_action": str(name), **said}


class Page:
    """A page of the admin for somebody who may act there, and for somebody who may look alone."""

    def __init__(self, model: str, made: Payer) -> None:
        self.path, self.made = f"/admin/billing/{model}/?organization={made.id}", made
        self.acting, self.looking = staff(f"view_{model}", f"change_{model}"), staff(f"view_{model}")

    def act(self, action: str, name: Any, **said: str) -> str:
        answer = self.acting.post(self.path, chosen(action, name, **said), follow=True)
        assert answer.status_code == 200
        return str(answer.content.decode())

    def refused(self, action: str, name: Any, **said: str) -> str:
        """What is told of a refusal, by which nothing moved."""
        with Still(self.made.id):
            told = self.act(action, name, **said)
        assert "1 done" not in told
        return told

    def only_looks(self, action: str, name: Any, **said: str) -> None:
        """Whom the action is not offered moves nothing by naming it."""
        with Still(self.made.id):
            shown = self.looking.post(self.path, chosen(action, name, **said), follow=True)
        assert "1 done" not in shown.content.decode()
        assert f'value="{action}"' not in self.looking.get(self.path).content.decode()


class TestARefundOfAPayment:
    def test_gives_back_what_is_said_for_a_reason_once(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        _, payment = made.paid_invoice(4_900)
        page = Page("payment", made)
        page.only_looks("refund", payment, note="late", amount="10")
        page.refused("refund", payment, amount="10")  # without a reason
        page.refused("refund", payment, note="late", amount="49.01")
        page.refused("refund", payment, note="late", amount="ten")
        assert "1 done" in page.act("refund", payment, note="late", amount="10", reason="duplicate")
        assert "on its way" in page.refused("refund", payment, note="late", amount="10")
        made.send()
        assert made.refunded() == [1_000]
        (command,) = made.commands("create_refund")
        assert (command.params["reason"], command.params["metadata"]["reason"]) == ("duplicate", "late")
        assert "1 done" in page.act("refund", payment, note="all of it")
        made.send()
        assert sorted(made.refunded()) == [1_000, 3_900]
        assert_sound(made.id)


class TestARefundOfACreditNote:
    def test_gives_back_its_credit_once(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        invoice, _ = made.paid_invoice(4_900)
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Half", "amount": "20.00"}).json()
        page = Page("creditnote", made)
        page.only_looks("refund", note["id"])
        for _ in range(2):
            assert "1 done" in page.act("refund", note["id"])
            made.send()
        assert made.refunded() == [2_000]
        assert_sound(made.id)

    def test_that_gave_no_credit_is_refused(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        invoice = made.open_invoice(4_900)
        note = made.made.act(invoice["id"], "credit-notes", {"reason": "Half", "amount": "20.00"}).json()
        Page("creditnote", made).refused("refund", note["id"])


class TestACollection:
    def test_charges_what_is_due_once(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        made.made.profile(collection="send_invoice")
        invoice = made.open_invoice(4_900)["id"]
        page = Page("invoice", made)
        page.refused("collect", invoice)  # there is nothing to pay with
        made.add_method()
        assert made.charged() == []
        page.only_looks("collect", invoice)
        assert "1 done" in page.act("collect", invoice)
        page.refused("collect", invoice)  # one is under way
        made.send()
        assert (made.charged(), made.invoice(invoice)["status"]) == ([4_900], "paid")
        page.refused("collect", invoice)
        assert_sound(made.id)


class TestATopUp:
    def test_buys_credit_once(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        page = Page("paymentcustomer", made)
        row = PaymentCustomer.objects.get(organization=made.id).pk
        page.only_looks("top_up", row, amount="25", currency="USD")
        for amount, currency in (("25", "EUR"), ("25", ""), ("0", "USD"), ("25.001", "USD"), ("", "USD")):
            page.refused("top_up", row, amount=amount, currency=currency)
        assert "1 done" in page.act("top_up", row, amount="25", currency="USD")
        assert "under way" in page.refused("top_up", row, amount="25", currency="USD")
        made.send()
        assert made.charged() == [2_500]
        assert made.owner.get("/v1/payments").json()["data"][0]["status"] == "succeeded"
        assert_sound(made.id)

"""Money that finance has placed and that something at the processor would place again: it is in the books once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from billing.operations.mirroring.applying import apply_invoice
from billing.stripe_gateway import mirrored
from orgs import PLATFORM_ID
from tests.builders.books import balances, open_books, rows
from tests.builders.orgs import AUTHOR, caller, platform, unique, write
from tests.builders.processor import CENT
from tests.builders.reconciling import Day
from tests.functional.billing.test_dunning_collected import make_parked_due, told, use_card
from tests.functional.reconciliation.test_suspense import assign
from tests.invariants import Still, assert_sound


@dataclass
class There:
    """A customer whose subscription lives at the processor, and whom nobody has linked to an organization yet."""

    day: Day
    organization: UUID
    customer: str
    price: str
    subscription: str

    def renew(self, **given: Any) -> str:
        """Let the next invoice be made and paid; its id."""
        self.day.simulator.decide(subscription=self.subscription, renew=True)
        newest = self.day.simulator.sdk().v1.invoices.list({"limit": 1}).data[0]
        assert newest.status == "paid"
        return str(newest.id)

    def link(self, credit: str = "50") -> None:
        """Say which organization it is, and what its price gives."""
        link = {"customer": self.customer, "organization": str(self.organization)}
        assert platform().post("/v1/mirrored-customers", link).status_code == 201
        body = {"price": self.price, "name": "Pro", "credit": credit, "currency": "USD"}
        assert platform().post("/v1/credit-prices", body).status_code == 201

    def look(self) -> None:
        """Everything is told, and what was parked is looked at again."""
        told(self.day.simulator)
        make_parked_due()
        told(self.day.simulator)

    def item(self) -> dict[str, Any]:
        """What of its newest invoice is in suspense."""
        newest = self.day.simulator.sdk().v1.invoices.list({"limit": 1}).data[0]
        ((intent, _),) = mirrored.invoice(newest.id).payments
        (found,) = platform().get("/v1/suspense", subject=f"payment_intent:{intent}").json()["data"]
        assert found["amount"] == "50"
        return dict(found)

    def invoices(self) -> list[Any]:
        reader = caller(self.organization, "billing:read")
        return [(one["status"], one["credit"]) for one in reader.get("/v1/mirrored-invoices").json()["data"]]

    def credit(self) -> int:
        return balances(self.organization).get("customer_credit", 0) // CENT


@pytest.fixture
def there(day: Day) -> There:
    customer = day.simulator.sdk().v1.customers.create({"email": "anna@example.org"}).id
    use_card(day.simulator, customer, "pm_card_visa")
    seeded = day.simulator.seed(subscription={"customer": customer, "amount": 5_000})
    price = seeded["items"]["data"][0]["price"]["id"]
    return There(day, open_books(), customer, price, str(seeded["id"]))


def surplus() -> int:
    """By how many cents the books hold more dollars than the balance and what is told apart explain."""
    ids = platform().get("/v1/reconciliations", limit="1").json()["data"][0]["id"]
    page: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    while page.get("next_cursor") or not page:
        cursor = {"cursor": page["next_cursor"]} if page else {}
        path = f"/v1/reconciliations/{ids}/differences"
        page = platform().get(path, outcome="open", limit="100", **cursor).json()
        found += page["data"]
    amounts = [one["amount"] for one in found if one["subject"] == "held:USD"]
    return -sum(round(float(amount) * 100) for amount in amounts)


class TestAnInvoiceThatLivesThere:
    def test_whose_money_was_assigned_gives_no_credit_beside_it(self, there: There) -> None:
        there.renew()
        there.look()
        there.day.run()
        before = surplus()
        item = there.item()
        assert assign(item["id"], organization=str(there.organization)).status_code == 200
        assert there.credit() == 5_000
        there.link()
        there.look()
        assert there.credit() == 5_000
        assert there.invoices() == [("paid", "0")]
        with Still(there.organization), Still(PLATFORM_ID):
            there.look()
        there.day.run()
        assert (there.day.by_class("open"), surplus() - before) == ({}, 0)
        assert there.day.moved()[0] == there.day.moved()[1]
        assert_sound(there.organization, PLATFORM_ID)

    def test_whose_credit_was_given_leaves_nothing_in_suspense_to_assign(self, there: There) -> None:
        there.renew()
        there.look()
        there.day.run()
        item, other = there.item(), open_books()
        there.link()
        there.look()
        assert there.credit() == 5_000
        api, body = platform(), {"organization": str(other), "reason": "it is theirs"}
        with Still(there.organization), Still(other), Still(PLATFORM_ID):
            answer = api.post(f"/v1/suspense/{item['id']}/assign", body, key=unique())
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
        there.day.run()
        assert there.day.by_class("open") == {}
        assert there.day.moved()[0] == there.day.moved()[1]
        assert_sound(there.organization, PLATFORM_ID)

    @pytest.mark.parametrize("is_read_first", [True, False], ids=["in suspense first", "linked first"])
    def test_bears_its_fee_once(self, there: There, is_read_first: bool) -> None:
        invoice = there.renew()
        if is_read_first:
            there.day.run()
        there.link()
        found = mirrored.invoice(invoice)
        write(lambda cur: apply_invoice(cur, found, author=AUTHOR))
        there.day.run("balance_rows", "items")  # its payment was not told yet
        assert there.day.moved()[0] == there.day.moved()[1]
        there.look()
        there.day.run()
        assert there.day.moved()[0] == there.day.moved()[1]
        assert balances(there.organization)["processor_fees"] < 0
        assert_sound(there.organization, PLATFORM_ID)

    def test_that_was_paid_out_of_band_moves_nothing_at_the_processor(self, there: There) -> None:
        there.link()
        client = there.day.simulator.sdk().v1.invoices
        there.day.simulator.decide(customer=there.customer, payment="decline", times=1)
        there.day.simulator.decide(subscription=there.subscription, renew=True)
        (unpaid,) = client.list({"limit": 1}).data
        assert client.pay(unpaid.id, {"paid_out_of_band": True}).status == "paid"
        there.look()
        there.day.run()
        assert there.credit() == 5_000
        assert balances(there.organization).get("processor_clearing", 0) == 0
        assert (there.day.by_class("open"), there.day.moved()) == ({}, (0, 0))
        assert_sound(there.organization)


class TestMoneyThatWentBackBeforeItsCustomerWasKnown:
    @pytest.mark.parametrize("how", ["refunded", "disputed"])
    def test_is_no_credit_of_the_invoice_that_it_had_paid(self, there: There, how: str) -> None:
        there.renew()
        simulator = there.day.simulator
        charge = simulator.sdk().v1.charges.list({"limit": 1}).data[0]
        if how == "refunded":
            simulator.refund(charge.id, 4_000)
        else:
            simulator.dispute(charge.id)
        told(simulator)
        ended = rows(
            "SELECT count(*) > 0 FROM stripe_events WHERE reason = 'foreign' AND next_at IS NULL AND kind = ANY(%s)",
            ["refund", "charge_refunds", "dispute"],
        )
        assert ended == [(True,)]
        there.link()
        there.look()
        assert there.credit() == (1_000 if how == "refunded" else 0)
        with Still(there.organization):
            there.look()
        there.day.run()
        assert there.day.by_class("open") == {}
        assert there.day.moved()[0] == there.day.moved()[1]
        assert_sound(there.organization, PLATFORM_ID)

    def test_is_taken_by_a_run_where_the_invoice_was_applied_without_it(self, there: There) -> None:
        invoice = there.renew()
        charge = there.day.simulator.sdk().v1.charges.list({"limit": 1}).data[0]
        there.day.simulator.refund(charge.id, 4_000)
        told(there.day.simulator)
        there.day.run()
        there.link()
        found = mirrored.invoice(invoice)
        write(lambda cur: apply_invoice(cur, found, author=AUTHOR))
        assert there.credit() == 5_000
        there.day.run("balance_rows", "items")
        assert there.credit() == 1_000
        assert_sound(there.organization, PLATFORM_ID)


class TestTheBalanceBesideTheBooks:
    def test_tells_what_is_in_the_books_twice(self, there: There) -> None:
        """The credit is given past the inbox, which knows what was assigned."""
        invoice = there.renew()
        there.day.run()
        before = surplus()
        assert assign(there.item()["id"], organization=str(there.organization)).status_code == 200
        there.day.run()
        assert surplus() == before
        there.link()
        found = mirrored.invoice(invoice)
        write(lambda cur: apply_invoice(cur, found, author=AUTHOR))
        there.day.run()
        ours, theirs = there.day.moved()
        assert surplus() - before == ours - theirs > 4_500

"""Money that goes back of money that came without being asked for is taken from whom it was given to (S08, S91)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ledger.queries.integrity import violations
from orgs import PLATFORM_ID
from tests.builders.books import balances, open_books, rows
from tests.builders.orgs import caller, platform, unique, write
from tests.builders.processor import CENT
from tests.builders.reconciling import Day, suspense
from tests.functional.billing.test_dunning_collected import told
from tests.functional.reconciliation.test_assigning import assign as assign_to_invoice
from tests.functional.reconciliation.test_assigning import in_arrears
from tests.functional.reconciliation.test_suspense import assign, strange
from tests.invariants import Still, assert_sound


def credit(organization: UUID) -> int:
    """What credit an organization has, in cents."""
    return balances(organization).get("customer_credit", 0) // CENT


def newest_charge(day: Day) -> Any:
    """The charge that was made last."""
    return day.simulator.sdk().v1.charges.list({"limit": 1}).data[0]


def is_balanced(day: Day, *organizations: UUID) -> None:
    """Nothing differs, and the books are what the processor holds."""
    day.run()
    assert day.by_class("open") == {}
    assert day.moved()[0] == day.moved()[1]
    assert_sound(PLATFORM_ID, *organizations)
    assert [one for one in write(violations) if one.organization in organizations] == []


class TestMoneyThatWasAssigned:
    def test_as_credit_is_taken_back_when_it_is_refunded(self, day: Day) -> None:
        before, customer = suspense(), open_books()
        item = strange(day, 4_411)
        assert assign(item["id"], organization=str(customer)).status_code == 200
        shown = caller(customer, "billing:read").get("/v1/payments").json()["data"]
        assert [(one["purpose"], one["credited"], one["status"]) for one in shown] == [
            ("assigned", "44.11", "succeeded")
        ]
        charge = newest_charge(day)
        day.simulator.refund(charge.id, 1_000)
        told(day.simulator)
        assert (credit(customer), suspense()) == (3_411, before)
        day.simulator.dispute(charge.id)
        told(day.simulator)
        assert (credit(customer), suspense(customer)) == (0, -1_000 * CENT)
        with Still(customer):
            told(day.simulator)
        is_balanced(day, customer)

    def test_is_refunded_by_the_api_as_any_other(self, day: Day) -> None:
        customer, item = open_books(), strange(day, 4_412)
        assert assign(item["id"], organization=str(customer)).status_code == 200
        ((payment,),) = rows("SELECT id FROM payments WHERE organization = %s", customer)
        answer = platform().post(
            f"/v1/payments/{payment}/refund?organization={customer}",
            {"reason": "duplicate", "note": "twice"},
            key=unique(),
        )
        assert answer.status_code in (201, 202), answer.content

    def test_on_an_invoice_is_owed_again_when_it_is_refunded(self, day: Day) -> None:
        made, invoice = in_arrears(day, 4_413)
        item = strange(day, 4_413)
        assert assign_to_invoice(platform(), item["id"], made, invoice).status_code == 200
        assert made.invoice(invoice)["status"] == "paid"
        charge = newest_charge(day)
        day.simulator.refund(charge.id, 1_013)
        told(day.simulator)
        found = made.invoice(invoice)
        assert (found["status"], found["due"]) == ("open", "10.13")
        made.made.assert_sound()
        is_balanced(day, made.id)

    def test_after_it_went_back_is_taken_by_the_next_run(self, day: Day) -> None:
        before, customer = suspense(), open_books()
        item = strange(day, 4_414)
        day.simulator.refund(newest_charge(day).id, 4_000)
        told(day.simulator)
        day.run()
        assert suspense() - before == 414 * CENT
        assert assign(item["id"], organization=str(customer)).status_code == 200
        is_balanced(day, customer)
        assert (credit(customer), suspense()) == (414, before)
        with Still(customer):
            day.run()

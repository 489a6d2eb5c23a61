"""Money that nobody asked for: charges of Stripe's dashboard, with and without our names on them, and balance
transactions of kinds that nobody here knows. All of it is in suspense, told once, until finance says what it is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from common.ids import new_id
from orgs import PLATFORM_ID
from tests.builders.books import balances, open_books
from tests.builders.deliveries import post
from tests.builders.orgs import platform, unique
from tests.builders.payments import findings
from tests.builders.processor import CENT, Payer, effects, header, listed
from tests.builders.reconciling import Day, suspense
from tests.functional.webhooks.test_inbox_admin import staff
from tests.invariants import Still, assert_sound
from webhooks.operations.inbound.processing import process_due


def charge(day: Day, cents: int, customer: str | None, **metadata: str) -> str:
    """A charge that somebody made in the dashboard; what it is about."""
    given = {"customer": customer} if customer else {}
    made = day.simulator.sdk().v1.payment_intents.create(
        {"amount": cents, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa", "metadata": metadata,
         "payment_method_types": ["card"], **given}
    )  # fmt: skip
    return f"payment_intent:{made.id}"


def strangers(day: Day, ours: Payer, another: Payer) -> dict[str, int]:
    """Charges that nobody asked for, by what they are about; cents."""
    nobodys = day.simulator.sdk().v1.customers.create({}).id
    organization = str(ours.organization)
    cases: list[tuple[str | None, dict[str, str]]] = [
        (ours.customer, {}),
        (ours.customer, {"organization": organization}),
        (ours.customer, {"organization": organization, "payment": str(new_id())}),
        (ours.customer, {"organization": "acme", "payment": "invoice 12"}),
        (nobodys, {}),
        (nobodys, {"organization": organization}),
        (nobodys, {"organization": str(new_id()), "payment": str(new_id()), "command": str(new_id())}),
        (None, {}),
        (ours.customer, {"organization": organization, "payment": str(another.ask(1_008))}),
    ]
    return {
        charge(day, 1_000 + n, customer, **metadata): 1_000 + n
        for n, (customer, metadata) in enumerate(cases)
    }


def told(subject: str, *organizations: UUID) -> list[str]:
    """The kinds of the open findings about something."""
    return [
        finding.kind
        for organization in (PLATFORM_ID, *organizations)
        for finding in findings(organization)
        if finding.subject == subject
    ]


def suspended(**query: str) -> list[Any]:
    """What is in suspense."""
    found = platform().get("/v1/suspense", status="suspense", limit="100", **query)
    assert found.status_code == 200, found.content
    return list(found.json()["data"])


class TestAChargeThatNobodyAskedFor:
    @pytest.mark.parametrize("is_delivered", [False, True], ids=["listed", "delivered"])
    def test_is_in_suspense_with_one_finding_and_in_no_customers_books(
        self, day: Day, is_delivered: bool
    ) -> None:
        ours, another = day.payer(), day.payer()
        if is_delivered:
            for body in listed(day.simulator):
                assert post(body, header(body)).status_code == 200
        day.run()
        known, before = {each.id for each in day.differences()}, suspense()
        made = strangers(day, ours, another)
        untouched = [(balances(each.organization), effects(each.organization)) for each in (ours, another)]
        if is_delivered:
            for body in listed(day.simulator):
                assert post(body, header(body)).status_code == 200
            while process_due():
                pass
        day.run()
        assert suspense() - before == sum(made.values()) * CENT
        for subject, cents in made.items():
            (item,) = suspended(subject=subject)
            assert item["amount"] == f"{cents / 100:g}"
            assert len(told(subject, ours.organization, another.organization)) == 1, subject
        assert [
            (balances(each.organization), effects(each.organization)) for each in (ours, another)
        ] == untouched
        assert day.moved()[0] == day.moved()[1]
        found = {each.id for each in day.differences("open")} - known
        assert len(found) == len(made)
        with Still(ours.organization), Still(PLATFORM_ID):
            day.run()
        assert {each.id for each in day.differences("open")} - known == found
        assert_sound(PLATFORM_ID, ours.organization, another.organization)


class TestABalanceTransactionOfAnUnknownCategory:
    def test_is_in_suspense_until_finance_says_by_the_api_or_its_pages_what_it_is(self, day: Day) -> None:
        before = suspense()
        names = [day.simulator.fund(cents, type="adjustment", category="stablecoin_rebate")["id"]
                 for cents in (4_411, 812, -350)]  # fmt: skip
        day.run()
        assert day.by_class("open") == {"category": 3}
        assert suspense() - before == (4_411 + 812 - 350) * CENT
        items = {
            each["balance_transaction"]: each for each in suspended() if each["balance_transaction"] in names
        }
        assert {each["category"] for each in items.values()} == {"stablecoin_rebate"}
        for name in names:
            assert told(f"balance_transaction:{name}") == ["balance_category_unknown"]
        known = {each.id for each in day.differences()}
        with Still(PLATFORM_ID):
            day.run()
        assert {each.id for each in day.differences()} == known

        first, second, cost = (items[name]["id"] for name in names)
        customer = open_books()
        answer = platform().post(
            f"/v1/suspense/{first}/assign",
            {"organization": str(customer), "reason": "a rebate of theirs"},
            key=unique(),
        )
        assert (answer.status_code, balances(customer)["customer_credit"]) == (200, 4_411 * CENT)
        client = staff("view_processoritem", "change_processoritem")
        client.post(
            "/admin/webhooks/processoritem/",
            {"action": "foreign", "_selected_action": [second, cost], "reason": "a sister company's"},
        )
        assert [each for each in suspended() if each["id"] in (first, second, cost)] == []
        assert suspense() - before == (812 - 350) * CENT
        assert [told(f"balance_transaction:{name}") for name in names] == [[], [], []]
        day.run()
        assert day.by_class("open") == {}
        assert {each.id for each in day.differences()} == known
        assert day.moved()[0] == day.moved()[1]
        assert_sound(PLATFORM_ID, customer)

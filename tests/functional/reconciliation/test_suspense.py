"""Money that nobody knows: finance says whose it is, or that it is none of ours."""

from __future__ import annotations

from typing import Any

import pytest

from billing.queries.findings import list_findings
from common.ids import new_id
from ledger.queries.integrity import violations
from orgs import PLATFORM_ID
from tests.builders.books import balances, open_books
from tests.builders.orgs import caller, make_organization, platform, unique, write
from tests.builders.processor import CENT
from tests.builders.reconciling import Day, suspense
from tests.invariants import Still, assert_sound


def strange(day: Day, cents: int) -> dict[str, Any]:
    """Money that came for nothing that we know; its item after a run."""
    made = day.simulator.sdk().v1.customers.create({})
    day.simulator.sdk().v1.payment_intents.create(
        {"amount": cents, "currency": "usd", "customer": made.id, "confirm": True,
         "payment_method": "pm_card_visa", "off_session": True}
    )  # fmt: skip
    day.run()
    items = [each for each in platform().get("/v1/suspense", status="suspense", limit="100").json()["data"]
             if each["amount"] == f"{cents / 100:g}"]  # fmt: skip
    assert len(items) == 1
    return dict(items[0])


def assign(item: str, key: str | None = None, **body: Any) -> Any:
    return platform().post(
        f"/v1/suspense/{item}/assign", {"reason": "it is theirs", **body}, key=key or unique()
    )


def open_foreign() -> int:
    found = write(
        lambda cur: list_findings(
            cur,
            organization=PLATFORM_ID,
            status="open",
            kind="foreign_money",
            subject=None,
            before=None,
            limit=1000,
        )
    )
    return len(found)


class TestMoneyInSuspense:
    def test_becomes_the_credit_of_the_organization_that_it_is_assigned_to(self, day: Day) -> None:
        before, told = suspense(), open_foreign()
        item = strange(day, 4_321)
        assert (suspense() - before, open_foreign() - told) == (4_321 * CENT, 1)
        customer, key = open_books(), unique()
        answer = assign(item["id"], key, organization=str(customer))
        assert (answer.status_code, answer.json()["status"]) == (200, "assigned"), answer.content
        assert assign(item["id"], key, organization=str(customer)).json() == answer.json()
        assert balances(customer)["customer_credit"] == 4_321 * CENT
        assert (suspense() - before, open_foreign() - told) == (0, 0)
        assert day.moved()[0] == day.moved()[1]
        assert_sound(customer)
        with Still(customer):
            again = assign(item["id"], organization=str(customer))
        assert again.status_code == 409
        day.run()
        assert day.by_class("open") == {}

    def test_is_refused_to_the_platform_another_currency_and_nobody(self, day: Day) -> None:
        item = strange(day, 4_322)
        euros = open_books(currency="EUR")
        for body, status in (
            ({"organization": str(PLATFORM_ID)}, 400),
            ({"organization": str(euros)}, 422),
            ({"organization": str(new_id())}, 404),
            ({"organization": str(euros), "reason": " "}, 400),
        ):
            with Still(euros):
                answer = assign(item["id"], **body)
            assert answer.status_code == status, (body, answer.content)
        assert assign(str(new_id()), organization=str(euros)).status_code == 404
        assert suspense() > 0

    def test_that_is_foreign_stays_and_is_told_no_more(self, day: Day) -> None:
        before, told = suspense(), open_foreign()
        item = strange(day, 4_323)
        answer = platform().post(f"/v1/suspense/{item['id']}/mark-foreign", {"reason": "a sister company"})
        assert (answer.status_code, answer.json()["status"]) == (200, "foreign")
        assert (suspense() - before, open_foreign() - told) == (4_323 * CENT, 0)
        charge = day.simulator.sdk().v1.charges.list({"limit": 1}).data[0]
        day.simulator.refund(charge.id, 4_323)
        day.run()
        assert day.by_class("open") == {}
        assert suspense() - before == 0
        assert day.moved()[0] == day.moved()[1]

    def test_that_went_back_at_the_processor_is_settled_by_itself(self, day: Day) -> None:
        before, told = suspense(), open_foreign()
        strange(day, 4_324)
        charge = day.simulator.sdk().v1.charges.list({"limit": 1}).data[0]
        day.simulator.refund(charge.id, 4_324)
        day.run()
        assert (suspense() - before, open_foreign() - told) == (0, 0)
        assert [each.outcome for each in day.differences() if each.name == "foreign"] == ["gone"]

    def test_is_the_platforms_alone(self, day: Day) -> None:
        other = caller(make_organization(), "admin")
        for path in ("/v1/suspense", "/v1/reconciliations", "/v1/provider-bills"):
            assert other.get(path).status_code == 403
            assert platform().get(path).status_code == 200

    def test_and_costs_and_own_money_are_booked_by_their_category(self, day: Day) -> None:
        before = balances(PLATFORM_ID).get("cash", 0)
        day.simulator.fund(12_345)
        day.run()
        assert balances(PLATFORM_ID).get("cash", 0) - before == 12_345 * CENT
        assert day.by_class() == {}
        assert day.moved() == (12_345, 12_345)
        assert [each for each in write(violations) if each.organization == PLATFORM_ID] == []


@pytest.fixture(autouse=True)
def _platform_is_sound() -> Any:
    yield
    assert_sound(PLATFORM_ID)

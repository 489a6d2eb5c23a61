"""Entries that invoices and contracts count by records of usage: taken back in the books alone they are billed all the
same, or come back twice. So they are not reversed by hand."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.builders.billing import Billed, billed
from tests.builders.books import rows
from tests.builders.contracts import agreed, commitment
from tests.builders.gate import units
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import Caller, platform, unique
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import acted, now_of, owner, sell, subscribe


def entries(made: Billed, kind: str) -> list[UUID]:
    """The customer's journal entries of a kind, the newest first."""
    found = rows(
        "SELECT id FROM journal_entries WHERE organization = %s AND kind = %s ORDER BY id DESC", made.id, kind
    )
    return [entry for (entry,) in found]


def assert_refused(made: Billed, kind: str, words: str) -> None:
    """The newest entry of a kind is not reversed; the answer says what is done instead, and nothing moved."""
    entry = entries(made, kind)[0]
    with made.still():
        answer = platform().post(f"/v1/entries/{entry}/reverse", {"reason": "forgiven"}, key=unique())
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "invalid_transition"), body
    assert words in body["detail"]


class TestUseOnTheLine:
    @pytest.mark.parametrize("credit", ["0", "30"], ids=["all of it", "a part of it"])
    def test_is_billed_by_its_invoice(self, credit: str) -> None:
        made = billed(credit=credit)
        made.use("100")
        assert_refused(made, "usage", "credit note")
        made.pass_months()
        made.run()
        assert made.only()["net"] == f"{100 - int(credit)}.00"
        made.assert_sound()

    def test_is_corrected_by_an_item_that_credits_it(self) -> None:
        made = billed()
        made.use("100", "20")
        body = {
            "organization": str(made.id),
            "description": "A call that was broken",
            "direction": "credit",
            "amount": "20.00",
            "currency": "USD",
        }
        assert made.finance.post("/v1/invoice-items", body, key=unique()).status_code == 201
        made.pass_months()
        made.run()
        assert sum(float(invoice["net"]) for invoice in made.invoices()) == 100
        made.assert_sound()


class TestUseOfACommitment:
    @pytest.mark.parametrize("kind", ["postpaid", "prepaid"])
    def test_is_counted_by_its_contract(self, kind: str) -> None:
        made = billed(credit_limit=units("1000"))
        agreed(made.id, "100", days=80, commitment=commitment(kind, "segment"))
        made.use("100")
        assert_refused(made, "usage", "contract counts it")
        assert_refused(made, "grant", "contract counts it")

    def test_that_lapsed_stays_with_its_contract(self) -> None:
        made = billed(credit_limit=units("1000"))
        agreed(made.id, "100", days=35, commitment=commitment("postpaid", "segment"))
        made.pass_months(2)
        made.run()
        assert_refused(made, "commitment", "contract")


class TestAMeteredCharge:
    def counted(self, kind: str) -> tuple[Billed, Caller, UUID]:
        """A hundred units at a dollar each, paid by credit of a kind, and the event that counted them."""
        made = billed(credit_limit=units("1000"))
        made.customer.grant("100", kind=kind)
        meter, who = make_meter("sum"), owner(made.id)
        prices = {"USD": {"model": "per_unit", "unit_price": "1"}}
        subscribe(who, sell(metered("use", meter=meter.key, prices=prices)))
        made.customer.pass_time(minutes=1)
        moment = now_of(made.id) - timedelta(seconds=1)
        event = new_event(meter.definition.event_type or "", moment, {"units": "100"})
        (recorded,) = record(made.id, event)
        made.pass_months()
        made.run()
        return made, who, recorded

    def void(self, made: Billed, who: Caller, event: UUID) -> None:
        """The event is taken back, and the next invoice says so."""
        answer = who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        assert answer.status_code == 200, answer.content
        made.pass_months()
        made.run()

    def test_comes_back_with_its_events_and_once(self) -> None:
        made, who, event = self.counted("paid")
        assert_refused(made, "usage", "void the events")
        self.void(made, who, event)
        (left,) = rows("SELECT posted FROM v_balances WHERE organization = %s AND account_kind = 'customer_credit'",
                       made.id)  # fmt: skip
        assert left == (units("100"),)
        made.assert_sound()

    def test_that_a_gift_paid_gives_it_back_for_good(self) -> None:
        made, who, event = self.counted("promotional")
        self.void(made, who, event)
        assert_refused(made, "give_back", "use that was taken back")


def test_credit_of_a_plan_that_was_left_stays_taken() -> None:
    made = billed()
    who = owner(made.id)
    left: dict[str, Any] = subscribe(who, sell(fee("49"), credits=[{"amounts": {"USD": "20"}}]))
    acted(made.finance, left, "cancel", {"when": "now", "credit_unused": True})
    assert_refused(made, "allowance_return", "subscription")

"""What is taken back is taxed as what it takes back was, whatever the customer says of itself since."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.builders.billing import Billed, billed
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import Caller, unique
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import acted, now_of, owner, sell, subscribe

AUSTRIAN = "ATU74581419"
REVERSED = {"country": "AT", "vat_id": AUSTRIAN}
UNREGISTERED = {"country": "AT", "vat_id": None}


def customer(tax: dict[str, Any], **given: Any) -> tuple[Billed, Caller]:
    """A customer of a German seller that says this of its tax; the register says that its VAT id is valid."""
    made = billed("DE", **given)
    state(made, tax)
    return made, owner(made.id)


def state(made: Billed, tax: dict[str, Any]) -> None:
    """Let it say something else from now on."""
    made.profile(tax={**tax, **({"vat_answer": "valid"} if tax["vat_id"] else {})})


def settle(made: Billed) -> None:
    """Bill what is due, and let the grace period pass."""
    made.run()
    made.customer.pass_time(hours=2)
    made.run()


def total_tax(made: Billed) -> list[tuple[str, str]]:
    """Net and tax of each invoice, the first one first."""
    return [(one["net"], one["tax"]) for one in made.invoices()]


def leave(made: Billed, who: Caller, sub: dict[str, Any]) -> None:
    """Change to what costs nothing, the rest credited now."""
    acted(who, sub, "change", {"plan": sell(fee("0")).plan_key, "mode": "invoice"})
    settle(made)


class TestACreditOfWhatIsUnused:
    @pytest.mark.parametrize(
        ("first", "then", "tax"),
        [(REVERSED, UNREGISTERED, 0.0), (UNREGISTERED, REVERSED, 0.2)],
        ids=["reverse charge", "taxed"],
    )
    def test_has_the_tax_of_its_fee(self, first: Any, then: Any, tax: float) -> None:
        made, who = customer(first)
        sub = subscribe(who, sell(fee("1200"), upgrade="invoice", downgrade="invoice"))
        settle(made)
        state(made, then)
        leave(made, who, sub)
        (net, charged), (back, refunded) = total_tax(made)
        assert (net, float(charged)) == ("1200.00", 1200 * tax)
        assert float(back) < -1100
        assert float(refunded) == pytest.approx(float(back) * tax, abs=0.01)
        made.assert_sound()

    def test_waits_until_the_tax_of_its_fee_is_known(self) -> None:
        made, who = customer(UNREGISTERED)
        made.profile(tax=REVERSED)
        sub = subscribe(who, sell(fee("1200"), upgrade="invoice", downgrade="invoice"))
        settle(made)
        assert made.only()["status"] == "tax_pending"
        state(made, REVERSED)
        acted(who, sub, "change", {"plan": sell(fee("0")).plan_key, "mode": "invoice"})
        settle(made)
        made.customer.pass_time(days=2)
        settle(made)
        assert [one["status"] for one in made.invoices()] == ["open", "paid"]
        assert {tax for _, tax in total_tax(made)} == {"0.00"}
        made.assert_sound()


class TestUseThatIsTakenBack:
    def used(self, tax: dict[str, Any], **given: Any) -> tuple[Billed, Caller, UUID]:
        """A customer whose 100.00 of metered use are billed, and the event that they are for."""
        made, who = customer(tax, **given)
        meter = make_meter("sum")
        price = {"USD": {"model": "per_unit", "unit_price": "1"}}
        subscribe(who, sell(metered("use", meter=meter.key, prices=price)))
        event = record(
            made.id, new_event(meter.definition.event_type or "", now_of(made.id), {"units": "100"})
        )
        made.pass_months()
        settle(made)
        return made, who, event[0]

    def take_back(self, made: Billed, who: Caller, event: UUID) -> None:
        answer = who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        assert answer.status_code == 200
        made.pass_months()
        settle(made)

    @pytest.mark.parametrize(
        ("first", "then", "tax"),
        [(REVERSED, UNREGISTERED, "0.00"), (UNREGISTERED, REVERSED, "20.00")],
        ids=["reverse charge", "taxed"],
    )
    def test_has_the_tax_of_its_line(self, first: Any, then: Any, tax: str) -> None:
        made, who, event = self.used(first)
        state(made, then)
        self.take_back(made, who, event)
        billed_now = [each for each in total_tax(made) if each[0] != "0.00"]
        assert billed_now == [("100.00", tax), ("-100.00", tax if tax == "0.00" else f"-{tax}")]
        made.assert_sound()

    def test_that_bought_credit_paid_for_gives_no_tax_back(self) -> None:
        made, who, event = self.used(UNREGISTERED, credit="60")
        self.take_back(made, who, event)
        billed_now = [each for each in total_tax(made) if each[0] != "0.00"]
        assert billed_now == [("40.00", "8.00"), ("-100.00", "-8.00")]
        taken = [line for one in made.invoices() for line in made.lines(one["id"]) if line["net"][0] == "-"]
        assert [(line["kind"], line["net"], line["tax"]) for line in taken] == [
            ("metered", "-40.00", "-8.00"),
            ("adjustment", "-60.00", "0.00"),
        ]
        for line in taken:
            (invoice,) = (one["id"] for one in made.invoices() if line in made.lines(one["id"]))
            path = f"/v1/invoices/{invoice}/lines/{line['number']}/explain"
            assert made.reader.get(path).status_code == 200
        made.assert_sound()

    def test_is_owed_back_once_more_after_a_void_invoice(self) -> None:
        made, who, event = self.used(UNREGISTERED, credit="60")
        assert who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique()).status_code == 200
        end = datetime.fromisoformat(made.reader.get("/v1/billing-cycle").json()["next_at"])
        made.customer.pass_time(seconds=(end - now_of(made.id)).total_seconds() + 60)
        made.run()
        (wrong,) = (one["id"] for one in made.invoices() if one["net"] == "-100.00")
        assert made.act(wrong, "void", {"reason": "the wrong address"}).status_code == 200
        state(made, REVERSED)
        made.pass_months()
        settle(made)
        again = [one for one in made.invoices() if one["id"] != wrong and one["net"] == "-100.00"]
        assert [one["tax"] for one in again] == ["-8.00"]
        made.assert_sound()


class TestTheProviderThatComesAlong:
    def test_taxes_a_line_by_its_code(self) -> None:
        made = billed("DE")
        charges = [fee("100", "journal", tax_code="reduced"), fee("10", "tool", tax_code="saas")]
        subscribe(owner(made.id), sell(*charges))
        settle(made)
        one = made.only()
        assert [(line["net"], line["tax"]) for line in made.lines(one["id"])] == [
            ("100.00", "7.00"),
            ("10.00", "1.90"),
        ]
        assert sorted(tax["percent"] for tax in one["taxes"]) == ["19", "7"]
        made.assert_sound()

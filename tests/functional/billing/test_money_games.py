"""What somebody who wants to pay less, or to be paid twice, tries with invoices; and what comes of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.projections.invoices import LINE_COLUMNS
from billing.queries.invoices import lines_of
from billing.rules.meters import Meter
from tests.builders.billing import Billed, billed, item, owe
from tests.builders.books import balances, one
from tests.builders.catalog import make_coupon, make_entity
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import unique, write
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import acted, now_of, owner, sell, subscribe

CENT = 1_000_000


def counted(made: Billed, meter: Meter, units: str) -> Any:
    """An event that a meter counts, a second ago, after a minute; its id."""
    made.customer.pass_time(minutes=1)
    data = {"units": units}
    event = new_event(meter.definition.event_type or "", now_of(made.id) - timedelta(seconds=1), data)
    return record(made.id, event)[0]


def per_unit(meter: Meter, **given: Any) -> dict[str, Any]:
    """A metered charge of a dollar for each unit."""
    price = {"USD": {"model": "per_unit", "unit_price": "1"}}
    return metered("use", meter=meter.key, prices=price, **given)


def credit_of(made: Billed) -> int:
    """The customer's credit in the books, in cents."""
    return balances(made.id).get("customer_credit", 0) // CENT


class TestACouponThatComesAfterTheFee:
    def test_lowers_no_period_that_had_begun(self) -> None:
        made = billed()
        who = owner(made.id)
        sub = subscribe(who, sell(fee("100"), upgrade="invoice", downgrade="invoice"))
        made.customer.pass_time(minutes=1)
        acted(who, sub, "coupons", {"coupon": make_coupon(percent="90", duration="forever").code})
        made.run()
        assert made.only()["total"] == "100.00"
        made.assert_sound()

    def test_gives_back_no_more_than_was_paid(self) -> None:
        made = billed()
        who = owner(made.id)
        sub = subscribe(who, sell(fee("100"), upgrade="invoice", downgrade="invoice"))
        made.customer.pass_time(minutes=1)
        acted(who, sub, "coupons", {"coupon": make_coupon(percent="90", duration="forever").code})
        made.run()
        acted(who, sub, "change", {"plan": sell(fee("0")).plan_key, "mode": "invoice"})
        made.run()
        assert sum(float(each["total"]) for each in made.invoices()) >= 0
        made.assert_sound()

    def test_lowers_one_period_however_often_a_new_one_begins(self) -> None:
        made = billed()
        who = owner(made.id)
        first, other = (sell(fee("100")) for _ in range(2))
        sub = subscribe(who, first, coupons=[make_coupon(percent="100", duration="once").code])
        made.run()
        for plan in (other, first):
            made.customer.pass_time(minutes=1)
            acted(who, sub, "change", {"plan": plan.plan_key, "mode": "reset"})
            made.run()
        assert [each["total"] for each in made.invoices()] == ["0.00", "100.00", "100.00"]
        made.assert_sound()


class TestLeavingAPlan:
    """Of 100.00, invoiced and paid or not, for a plan that costs nothing, with credit for what is unused."""

    def started(self) -> tuple[Billed, Any, dict[str, Any], str]:
        made = billed()
        who = owner(made.id)
        sub = subscribe(who, sell(fee("100"), upgrade="invoice", downgrade="invoice"))
        made.run()
        invoice = made.only()["id"]
        assert made.act(invoice, "finalize").status_code == 200
        return made, who, sub, invoice

    def leave(self, made: Billed, who: Any, sub: dict[str, Any]) -> None:
        acted(who, sub, "change", {"plan": sell(fee("0")).plan_key, "mode": "invoice"})
        made.run()
        made.customer.pass_time(hours=2)
        made.run()

    def test_pays_its_invoice_before_it_is_credit(self) -> None:
        made, who, sub, invoice = self.started()
        self.leave(made, who, sub)
        back = -float(made.invoices()[1]["total"])
        shown = made.reader.get(f"/v1/invoices/{invoice}").json()
        assert back > 99
        assert (float(shown["paid"]), credit_of(made)) == (back, 0)
        assert shown["status"] == ("paid" if back == 100 else "open")
        made.assert_sound()

    def test_pays_what_was_written_off_before_it_is_credit(self) -> None:
        made, who, sub, invoice = self.started()
        made.customer.pass_time(days=10)
        assert made.act(invoice, "write-off", {"reason": "gone"}).status_code == 200
        loss = balances(made.id)["bad_debt"]
        self.leave(made, who, sub)
        back = -float(made.invoices()[1]["total"])
        shown = made.reader.get(f"/v1/invoices/{invoice}").json()
        assert back > 60
        assert (float(shown["paid"]), credit_of(made)) == (back, 0)
        assert shown["status"] == "uncollectible"
        assert balances(made.id)["bad_debt"] == loss + round(back * 100) * CENT
        made.assert_sound()

    def test_gives_nothing_back_that_a_credit_note_gave(self) -> None:
        made, who, sub, invoice = self.started()
        assert made.pay(invoice, "100").status_code == 200
        assert made.act(invoice, "credit-notes", {"reason": "r"}).status_code == 201
        self.leave(made, who, sub)
        assert credit_of(made) == 10_000
        made.assert_sound()

    def test_leaves_to_a_credit_note_what_it_did_not_give_back(self) -> None:
        made, who, sub, invoice = self.started()
        assert made.pay(invoice, "100").status_code == 200
        made.customer.pass_time(days=10)
        self.leave(made, who, sub)
        with made.still():
            answer = made.act(invoice, "credit-notes", {"reason": "r", "amount": "100"})
            assert (answer.status_code, answer.json()["code"]) == (422, "credit_exceeds_invoice")
        assert made.act(invoice, "credit-notes", {"reason": "r"}).status_code == 201
        assert credit_of(made) == 10_000
        made.assert_sound()


class TestUseThatIsTakenBackLater:
    def test_turns_no_allowance_into_money(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        plan = sell(fee("20"), per_unit(meter), credits=[{"amounts": {"USD": "20"}}])
        subscribe(who, plan)
        event = counted(made, meter, "20")
        made.pass_months()
        made.run()
        answer = who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        assert answer.status_code == 200, answer.content
        made.pass_months()
        made.run()
        lines = [line for each in made.invoices() for line in made.lines(each["id"])]
        assert [line["amount"] for line in lines if line["kind"] == "metered"] == ["0.00", "0.00", "0.00"]
        made.assert_sound()

    def test_and_was_written_off_is_no_credit(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        subscribe(who, sell(per_unit(meter)))
        event = counted(made, meter, "30")
        made.pass_months()
        made.run()
        invoice = made.only()["id"]
        made.act(invoice, "finalize")
        assert made.act(invoice, "write-off", {"reason": "gone"}).status_code == 200
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        made.customer.pass_time(hours=2)
        made.run()
        assert made.reader.get(f"/v1/invoices/{invoice}").json()["status"] == "paid"
        assert (credit_of(made), balances(made.id).get("bad_debt", 0)) == (0, 0)
        made.assert_sound()

    def test_gives_back_what_was_paid_after_the_coupon(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        coupon = make_coupon(percent="50", duration="once")
        subscribe(who, sell(per_unit(meter)), coupons=[coupon.code])
        event = counted(made, meter, "100")
        made.pass_months()
        made.run()
        assert made.only()["total"] == "50.00"
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        assert [each["total"] for each in made.invoices()] == ["50.00", "-50.00", "0.00"]
        made.assert_sound()

    def test_of_bought_credit_comes_back_as_credit(self) -> None:
        made = billed(credit="100")
        who, meter = owner(made.id), make_meter("sum")
        subscribe(who, sell(per_unit(meter)))
        event = counted(made, meter, "30")
        made.pass_months()
        made.run()
        assert credit_of(made) == 7_000
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        made.customer.pass_time(hours=2)
        made.run()
        assert credit_of(made) == 10_000
        made.assert_sound()

    def test_of_promotional_credit_goes_back_to_its_grant(self) -> None:
        made = billed()
        made.customer.grant("50", kind="promotional")
        who, meter = owner(made.id), make_meter("sum")
        subscribe(who, sell(per_unit(meter)))
        event = counted(made, meter, "30")
        made.pass_months()
        made.run()
        assert credit_of(made) == 2_000
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        made.customer.pass_time(hours=2)
        made.run()
        assert credit_of(made) == 5_000
        assert one("SELECT count(*) FROM credit_grants WHERE organization = %s", made.id) == 1
        made.assert_sound()

    def test_that_a_credit_note_took_back_is_not_paid_twice(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        subscribe(who, sell(per_unit(meter)))
        event = counted(made, meter, "30")
        made.pass_months()
        made.run()
        invoice = made.only()["id"]
        made.act(invoice, "finalize")
        assert made.act(invoice, "credit-notes", {"reason": "r"}).status_code == 201
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        made.customer.pass_time(hours=2)
        made.run()
        assert credit_of(made) == 0
        made.assert_sound()

    def test_is_given_back_by_no_credit_note_again(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        subscribe(who, sell(per_unit(meter)))
        counted(made, meter, "60")
        event = counted(made, meter, "40")
        made.pass_months()
        made.run()
        invoice = made.only()["id"]
        made.act(invoice, "finalize")
        assert made.pay(invoice, "100").status_code == 200
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        made.customer.pass_time(hours=2)
        made.run()
        assert credit_of(made) == 4_000
        for what in ({"amount": "61"}, {"lines": [{"line": 1, "net": "61"}]}):
            with made.still():
                answer = made.act(invoice, "credit-notes", {"reason": "r", **what})
                assert (answer.status_code, answer.json()["code"]) == (422, "credit_exceeds_invoice")
        assert made.act(invoice, "credit-notes", {"reason": "r"}).json()["total"] == "60.00"
        with made.still():
            assert made.act(invoice, "credit-notes", {"reason": "r"}).status_code == 422
        assert credit_of(made) == 10_000
        made.assert_sound()

    def test_that_is_billed_again_without_its_coupon_comes_back_as_it_costs_then(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        coupon = make_coupon(percent="50", duration="forever")
        subscribe(who, sell(per_unit(meter)), coupons=[coupon.code])
        counted(made, meter, "60")
        event = counted(made, meter, "40")
        made.pass_months()
        made.run()
        (redemption,) = who.get("/v1/coupon-redemptions").json()["data"]
        assert who.post(f"/v1/coupon-redemptions/{redemption['id']}/end", key=unique()).status_code == 200
        made.pass_months()
        made.run()
        first = made.invoices()[0]
        assert first["total"] == "50.00"
        assert made.act(first["id"], "void", {"reason": "r"}).status_code == 200
        who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        made.pass_months()
        made.run()
        living = [one for one in made.invoices() if one["status"] != "void" and one["total"] != "0.00"]
        assert [one["total"] for one in living] == ["60.00"]
        again = living[0]["id"]
        assert [line["net"] for line in made.lines(again)] == ["100.00", "-40.00"]
        with made.still():
            named = {"lines": [{"line": 1, "net": "61"}]}
            assert made.act(again, "credit-notes", {"reason": "r", **named}).status_code == 422
        assert made.act(again, "credit-notes", {"reason": "r"}).json()["total"] == "60.00"
        made.assert_sound()


class TestUseThatIsBilledLate:
    def test_is_billed_however_long_ago_its_period_ended(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        subscribe(who, sell(per_unit(meter)))
        made.customer.pass_time(minutes=1)
        long_ago = now_of(made.id)
        for _ in range(5):
            made.pass_months()
            made.run()
        record(made.id, new_event(meter.definition.event_type or "", long_ago, {"units": "30"}))
        made.pass_months()
        made.run()
        made.pass_months()
        made.run()
        assert [each["total"] for each in made.invoices() if each["total"] != "0.00"] == ["30.00"]
        made.assert_sound()

    def test_after_a_void_invoice_is_discounted_no_more_than_before(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        coupon = make_coupon(percent="50", duration="forever")
        subscribe(who, sell(per_unit(meter, discountable=False)), coupons=[coupon.code])
        counted(made, meter, "30")
        made.pass_months()
        made.run()
        assert made.act(made.only()["id"], "void", {"reason": "r"}).status_code == 200
        made.pass_months()
        made.run()
        assert [each["total"] for each in made.invoices()][:2] == ["30.00", "30.00"]
        made.assert_sound()


def test_a_payment_from_the_future_is_refused() -> None:
    made = billed()
    owe(made.id, item(due_at=now_of(made.id) - timedelta(seconds=1)))
    made.run()
    invoice = made.only()["id"]
    made.act(invoice, "finalize")
    with made.still():
        answer = made.pay(invoice, "49", paid_at="2199-01-01T00:00:00Z")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field")


class TestACreditNote:
    def test_is_refused_beyond_what_the_invoice_comes_to(self) -> None:
        made = billed()
        due = now_of(made.id) - timedelta(seconds=1)
        owe(made.id, item(due_at=due, amount=10_000 * CENT))
        owe(made.id, item(due_at=due, amount=-6_000 * CENT, kind="adjustment"))
        made.run()
        invoice = made.only()["id"]
        made.act(invoice, "finalize")
        assert made.pay(invoice, "40").status_code == 200
        with made.still():
            answer = made.act(invoice, "credit-notes", {"reason": "r", "lines": [{"line": 1, "net": "100"}]})
            assert (answer.status_code, answer.json()["code"]) == (422, "credit_exceeds_invoice")

    def test_is_of_whoever_invoiced(self) -> None:
        made = billed()
        owe(made.id, item(due_at=now_of(made.id) - timedelta(seconds=1)))
        made.run()
        invoice = made.only()["id"]
        made.act(invoice, "finalize")
        made.profile(legal_entity=make_entity(currency="USD", credit_note_series="OTHER").key)
        note = made.act(invoice, "credit-notes", {"reason": "r"}).json()
        assert note["number"].startswith("TESTCN")


class TestADraftWhoseSellerChanges:
    def test_is_numbered_by_whom_it_names(self) -> None:
        made = billed(country="DE")
        owe(made.id, item(due_at=now_of(made.id) - timedelta(seconds=1)))
        made.run()
        made.profile(
            legal_entity=make_entity(currency="USD", name="Other Ltd", country="FR", invoice_series="OTH").key
        )
        shown = made.act(made.only()["id"], "finalize").json()
        assert (shown["seller"]["name"], shown["number"][:4]) == ("Counterfoil GmbH", "TEST")


class TestPayingWithCredit:
    def test_takes_no_allowance(self) -> None:
        made = billed()
        who = owner(made.id)
        subscribe(who, sell(fee("20"), credits=[{"amounts": {"USD": "20"}}]))
        made.run()
        invoice = made.only()["id"]
        made.act(invoice, "finalize")
        with made.still():
            answer = made.pay(invoice, "20", method="credit")
            assert answer.json().get("code") == "amount_exceeds_available"


class _Undone(Exception):
    """Rolls back what a test only looked at."""


def test_an_invoice_of_many_lines_is_read_whole() -> None:
    made = billed()
    owe(made.id, item(due_at=now_of(made.id) - timedelta(seconds=1)))
    made.run()
    invoice = UUID(made.only()["id"])
    names = [name for name in LINE_COLUMNS if name != "n"]
    copied = (
        f"INSERT INTO invoice_lines (n, {', '.join(names)}) SELECT 1 + g, {', '.join(names)}"
        " FROM invoice_lines, generate_series(1, 10000) g WHERE invoice_id = %s"
    )

    def operation(cur: Any) -> None:
        cur.execute(copied, (invoice,))
        assert len(lines_of(cur, invoice)) == 10_001
        raise _Undone

    with pytest.raises(_Undone):
        write(operation)


class TestAVoidInvoice:
    def test_is_credited_no_sooner_than_its_fee_is_billed_again(self) -> None:
        """What a void invoice billed is open again; the credit for what is unused comes with it, not before it."""
        made = billed()
        who = owner(made.id)
        sub = subscribe(who, sell(fee("100"), upgrade="invoice", downgrade="invoice"))
        made.run()
        assert made.act(made.only()["id"], "void", {"reason": "the wrong address"}).status_code == 200
        made.customer.pass_time(minutes=1)
        acted(who, sub, "change", {"plan": sell(fee("0")).plan_key, "mode": "invoice"})
        made.run()
        made.customer.pass_time(hours=2)
        made.run()
        assert [float(each["total"]) for each in made.invoices()][1:] == [pytest.approx(0, abs=5)]
        assert float(made.invoices()[1]["total"]) >= 0
        assert credit_of(made) == 0
        made.assert_sound()


class TestACouponOfAnAmount:
    def test_lowers_a_period_once_with_its_fee_or_its_use(self) -> None:
        made = billed()
        who, meter = owner(made.id), make_meter("sum")
        plan = sell(fee("100"), per_unit(meter), upgrade="invoice", downgrade="invoice")
        coupon = make_coupon(amounts={"USD": "50"}, duration="once")
        sub = subscribe(who, plan, coupons=[coupon.code])
        counted(made, meter, "100")
        acted(who, sub, "cancel", {"when": "now"})
        made.run()
        made.pass_months()
        made.run()
        assert sum(float(each["total"]) for each in made.invoices()) == 150.0
        made.assert_sound()

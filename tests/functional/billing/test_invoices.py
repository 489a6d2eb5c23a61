"""From use to a paid invoice, through the API: what is on it, who may read it, and what moves it on (S73, S74, S76)."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.operations.simulating import simulate
from tests.builders.billing import CENT, DOLLAR, Billed, billed, item, owe, with_invoice
from tests.builders.books import balances
from tests.builders.gate import make_model, usage_body
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import caller, make_member, make_organization, unique
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import now_of, owner, sell, subscribe

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def now() -> str:
    """The wall clock."""
    return datetime.now(UTC).isoformat()


def of_month(made: Billed, day: int = 1) -> datetime:
    """The first boundary after the customer was made."""
    shown: str = made.reader.get("/v1/billing-cycle").json()["next_at"]
    return datetime.fromisoformat(shown)


class TestAMonthOfUse:
    def test_becomes_one_invoice_without_any_plan(self) -> None:
        made = billed()
        made.use("1.005", "2.00000001")
        boundary = of_month(made)
        assert made.run() == 0
        made.pass_months()
        assert made.run() == 2
        invoice = made.only()
        shown = {name: invoice[name] for name in ("status", "cause", "net", "tax", "total", "due", "paid")}
        assert shown == {
            "status": "open", "cause": "cycle", "net": "3.01", "tax": "0.00", "total": "3.01", "due": "3.01",
            "paid": "0.00",
        }  # fmt: skip
        assert datetime.fromisoformat(invoice["dated_at"]) == boundary
        assert datetime.fromisoformat(invoice["period_end"]) == boundary
        (line,) = made.lines(invoice["id"])
        assert (line["charge"], line["amount"], line["records"], line["quantities"]["calls"]) == (
            "3.00500001", "3.01", 2, 2,
        )  # fmt: skip
        assert made.run() == 0
        assert len(made.invoices()) == 1
        made.assert_sound()

    def test_moves_what_was_unbilled_to_receivable_and_the_rest_of_a_cent_to_rounding(self) -> None:
        made, _ = with_invoice("1.005", "2.00000001")
        posted = balances(made.id)
        assert posted["receivable"] == -301 * CENT
        assert posted["rounding"] == 301 * CENT - 300_500_001
        assert "unbilled_receivable" not in posted
        assert posted["revenue"] == 300_500_001

    def test_shows_tokens_and_tools_as_such(self) -> None:
        made, model = billed(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        for tokens in (1_000_000, 500_000):
            body = usage_body(
                None, action=action, occurred_at=now(), usage={"input_tokens": tokens, "output_tokens": 1_000}
            )
            assert made.customer.api.post("/v1/usage", body).status_code == 201
        made.use("0.5", action={"kind": "tool.call", "tool": "search"})
        made.pass_months()
        made.run()
        chat, tool = made.lines(made.only()["id"])
        assert (chat["provider"], chat["model"], chat["amount"]) == ("acme", model, "1.52")
        assert chat["quantities"] == {
            "calls": 2, "tokens": {"input_tokens": 1_500_000, "output_tokens": 2_000}, "tool_calls": 0,
        }  # fmt: skip
        assert (tool["tool"], tool["amount"]) == ("search", "0.50")

    def test_bills_only_what_credit_did_not_pay_for(self) -> None:
        made, invoice = with_invoice("1", "1", credit="1.5")
        (line,) = made.lines(invoice["id"])
        assert (line["charge"], line["funded"], line["amount"]) == (
            "2", [{"source": "credit", "amount": "1.5"}], "0.50",
        )  # fmt: skip
        made.assert_sound()

    def test_names_who_paid_before_in_the_order_of_the_waterfall_as_its_preview_did(self) -> None:
        made = billed(credit="1")
        made.customer.grant("2", kind="included", source="allowance")
        made.use("4")
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        made.pass_months()
        made.run()
        (line,) = made.lines(made.only()["id"])
        assert line["funded"] == [
            {"source": "allowance", "amount": "2"}, {"source": "credit", "amount": "1"},
        ]  # fmt: skip
        assert upcoming["lines"] == [line]

    def test_leaves_no_invoice_when_credit_paid_for_all_of_it(self) -> None:
        made = billed(credit="5")
        made.use("1")
        made.pass_months()
        assert made.run() == 1
        assert made.invoices() == []
        made.use("5")
        made.pass_months()
        made.run()
        (line,) = made.lines(made.only()["id"])
        assert (line["charge"], line["amount"]) == ("5", "1.00")
        made.assert_sound()

    def test_takes_what_comes_late_into_the_next_invoice_with_its_own_time(self) -> None:
        made = billed()
        made.use("1")
        used_at = datetime.now(UTC)
        made.pass_months()
        made.run()
        late = usage_body("0.25", occurred_at=used_at.isoformat())
        assert made.customer.api.post("/v1/usage", late).status_code == 201
        made.use("2")
        made.pass_months()
        made.run()
        first, second = made.invoices()
        assert first["total"] == "1.00"
        assert second["total"] == "2.25"
        assert [(line["late"], line["amount"], line["service_start"] is None) for line in made.lines(second["id"])] == [
            (False, "2.00", False), (True, "0.25", True),
        ]  # fmt: skip
        made.assert_sound()

    def test_catches_up_after_standstill_with_a_right_date_for_each_month(self) -> None:
        made = billed()
        first = of_month(made)
        for _ in range(3):
            made.use("1")
            made.pass_months()
        made.run()
        dates = [datetime.fromisoformat(one["dated_at"]) for one in made.invoices()]
        assert dates[0] == first
        assert [date.day for date in dates] == [1] * len(dates)
        assert sum(float(one["total"]) for one in made.invoices()) == 3
        entries = made.finance.get("/v1/entries", organization=str(made.id), kind="invoice").json()["data"]
        assert sorted(datetime.fromisoformat(one["effective_at"]) for one in entries) == dates
        made.assert_sound()

    def test_ends_at_midnight_in_the_customers_own_zone(self) -> None:
        made = billed(time_zone="Asia/Tokyo")
        assert of_month(made).astimezone(UTC).hour == 15


class TestReading:
    def test_needs_the_scope_and_tells_nobody_elses(self) -> None:
        made, invoice = with_invoice("1")
        stranger = caller(make_organization(), "billing:read")
        paths = [f"/v1/invoices/{invoice['id']}{rest}" for rest in ("", "/lines", "/lines/1/explain", "/pdf")]
        for path in (*paths, f"/v1/invoices/{invoice['id']}/lines/1/records.csv"):
            assert problem(stranger.get(path)) == (404, "not_found")
            assert problem(caller(made.id, "spend:write").get(path)) == (403, "forbidden")
        assert stranger.get("/v1/invoices").json()["data"] == []
        assert problem(made.reader.get(f"/v1/invoices/{UNKNOWN}")) == (404, "not_found")
        assert problem(made.reader.get("/v1/invoices/x")) == (404, "not_found")
        member = make_member(made.id, "member")
        assert problem(caller(made.id, "admin", member=str(member.id)).get("/v1/invoices")) == (
            403,
            "forbidden",
        )
        owner = make_member(made.id, "billing_admin")
        assert caller(made.id, "billing:read", member=str(owner.id)).get("/v1/invoices").status_code == 200

    def test_lists_by_status_and_number_page_by_page(self) -> None:
        made = billed()
        for _ in range(2):
            made.use("1")
            made.pass_months()
        made.run()
        rows = made.reader.get("/v1/invoices", limit="1").json()
        more = made.reader.get("/v1/invoices", limit="1", cursor=rows["next_cursor"]).json()
        assert [rows["data"][0]["id"], more["data"][0]["id"]] == [one["id"] for one in made.invoices()[::-1]]
        number = made.invoices()[0]["number"]
        assert len(made.reader.get("/v1/invoices", number=number).json()["data"]) == 1
        assert made.reader.get("/v1/invoices", status="paid").json()["data"] == []
        assert problem(made.reader.get("/v1/invoices", status="open ")) == (400, "invalid_parameter")
        assert problem(made.reader.get("/v1/invoices", state="open")) == (400, "unknown_parameter")

    def test_a_line_explains_itself_and_a_second_way_agrees(self) -> None:
        made, model = billed(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        body = usage_body(
            None, action=action, occurred_at=now(), usage={"input_tokens": 7, "output_tokens": 3}
        )
        assert made.customer.api.post("/v1/usage", body).status_code == 201
        made.pass_months()
        made.run()
        invoice = made.only()
        shown = made.reader.get(f"/v1/invoices/{invoice['id']}/lines/1/explain").json()
        assert shown["agrees"] is True
        assert shown["recount"] == {
            "records": 1, "charge": "0.000037", "rated": "0.000037", "postpaid": "0.000037",
            "digest": shown["line"]["digest"],
        }  # fmt: skip
        steps = {step["name"]: (step["values"]["quantity"], step["result"]) for step in shown["steps"]}
        assert steps == {"input": ("7", "0.000007"), "output": ("3", "0.00003")}
        assert len(shown["price_versions"]) == 1
        assert shown["remainder"] == "-0.000037"

    def test_a_line_gives_its_records_as_csv(self) -> None:
        made = billed()
        made.use("1", "2", subject={"run": "=cmd()"})
        made.pass_months()
        made.run()
        answer = made.reader.get(f"/v1/invoices/{made.only()['id']}/lines/1/records.csv")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert [(row["charge"], row["agent"], row["run"]) for row in rows] == [
            ("1", "bot", "'=cmd()"), ("2", "bot", "'=cmd()"),
        ]  # fmt: skip

    @pytest.mark.parametrize("line", ["0", "2", "01", "-1", "x", "9999999"])
    def test_a_line_that_is_not_there_is_not_found(self, line: str) -> None:
        made, invoice = with_invoice("1")
        for what in ("explain", "records.csv"):
            answer = made.reader.get(f"/v1/invoices/{invoice['id']}/lines/{line}/{what}")
            assert problem(answer) == (404, "not_found")

    def test_the_pdf_is_one(self) -> None:
        made, invoice = with_invoice("1")
        answer = made.reader.get(f"/v1/invoices/{invoice['id']}/pdf")
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF-")
        assert made.reader.get(f"/v1/invoices/{invoice['id']}/pdf").content == answer.content


class TestItems:
    def test_are_invoiced_when_they_fall_due_without_the_use_of_the_month(self) -> None:
        made = billed()
        made.use("1")
        due = datetime.now(UTC) - timedelta(seconds=1)
        period = {"service_start": due, "service_end": due + timedelta(days=30)}
        owe(
            made.id,
            item(due_at=due, recognition="straight", **period),
            item(due_at=due, amount=-9 * DOLLAR, kind="proration_credit", description="Unused"),
        )
        assert made.run() == 1
        draft = made.only()
        assert (draft["status"], draft["cause"], draft["total"], draft["number"]) == (
            "draft",
            "items",
            "40.00",
            None,
        )
        made.customer.pass_time(hours=1)
        assert made.run() == 1
        assert made.only()["status"] == "open"
        posted = balances(made.id)
        assert (posted["receivable"], posted["deferred_revenue"]) == (-40 * DOLLAR, 49 * DOLLAR)
        assert posted["revenue"] == 1 * DOLLAR - 9 * DOLLAR
        assert posted["unbilled_receivable"] == -1 * DOLLAR
        made.assert_sound()

    def test_are_added_by_finance_and_go_on_the_next_invoice(self) -> None:
        made = billed()
        body = {"organization": str(made.id), "description": "Set-up", "amount": "12.50", "currency": "USD"}
        key = unique()
        added = made.finance.post("/v1/invoice-items", body, key=key)
        assert (added.status_code, added.json()["amount"], added.json()["kind"]) == (201, "12.50", "one_time")
        again = made.finance.post("/v1/invoice-items", body, key=key)
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (added.json(), "true")
        back = {**body, "direction": "credit", "amount": "2", "description": "Sorry"}
        assert made.finance.post("/v1/invoice-items", back, key=unique()).json()["amount"] == "-2.00"
        assert len(made.reader.get("/v1/invoice-items", open="true").json()["data"]) == 2
        made.pass_months()
        made.run()
        assert made.only()["total"] == "10.50"
        assert made.reader.get("/v1/invoice-items", open="true").json()["data"] == []
        one = made.reader.get(f"/v1/invoice-items/{added.json()['id']}").json()
        assert (one["invoice"], one["line"]) == (made.only()["id"], 1)
        stranger = caller(make_organization(), "billing:read")
        assert problem(stranger.get(f"/v1/invoice-items/{added.json()['id']}")) == (404, "not_found")
        made.assert_sound()

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"amount": "0"}, (400, "invalid_amount")),
            ({"amount": "-1"}, (400, "invalid_amount")),
            ({"amount": "1.005"}, (400, "invalid_amount")),
            ({"amount": 1}, (400, "invalid_amount")),
            ({"currency": "EUR"}, (422, "currency_mismatch")),
            ({"currency": "usd"}, (400, "invalid_currency")),
            ({"description": ""}, (400, "invalid_field")),
            ({"tax_code": "odd"}, (400, "invalid_field")),
            ({"due_at": "2026-01-01T00:00:00"}, (400, "naive_datetime")),
            ({"status": "open"}, (400, "read_only_field")),
            ({"colour": "red"}, (400, "unknown_field")),
            ({"organization": UNKNOWN}, (404, "not_found")),
            ({"organization": None}, (400, "invalid_field")),
        ],
    )
    def test_that_are_wrong_are_refused_and_move_nothing(self, change: dict[str, Any], expected: Any) -> None:
        made = billed()
        body = {"organization": str(made.id), "description": "Set-up", "amount": "12.50", "currency": "USD"}
        admin = caller(made.id, "admin")
        with made.still():
            assert (
                problem(made.finance.post("/v1/invoice-items", {**body, **change}, key=unique())) == expected
            )
            assert problem(made.finance.post("/v1/invoice-items", body)) == (400, "idempotency_key_required")
            own = admin.post("/v1/invoice-items", body, key=unique())
            assert problem(own) == (403, "forbidden")

    def test_below_zero_in_all_become_credit_of_the_customer(self) -> None:
        made = billed()
        due = datetime.now(UTC) - timedelta(seconds=1)
        owe(made.id, item(due_at=due, amount=-9 * DOLLAR, kind="proration_credit"))
        made.run()
        made.customer.pass_time(hours=1)
        made.run()
        invoice = made.only()
        assert (invoice["status"], invoice["total"], invoice["due"]) == ("paid", "-9.00", "0.00")
        assert balances(made.id) == {"customer_credit": 9 * DOLLAR, "revenue": -9 * DOLLAR}
        assert made.customer.available() == "9"
        made.assert_sound()

    def test_that_cost_nothing_are_paid_at_once(self) -> None:
        made = billed()
        owe(made.id, item(due_at=datetime.now(UTC) - timedelta(seconds=1), amount=0, description="Free plan"))
        made.run()
        made.customer.pass_time(hours=1)
        made.run()
        assert (made.only()["status"], made.only()["total"]) == ("paid", "0.00")
        assert balances(made.id) == {}


class TestThePreview:
    def test_is_the_next_invoice_and_moves_nothing(self) -> None:
        """An item that falls due inside of the cycle is an invoice of its own, before that of the use."""
        made = billed(credit="1")
        made.use("1.111111", "0.7", "0.4")
        owe(made.id, item(due_at=of_month(made) - timedelta(days=1)))
        with made.still():
            first = made.reader.get("/v1/invoices/upcoming").json()
        simulate(organization=made.id, until=of_month(made) - timedelta(hours=1))
        second = made.reader.get("/v1/invoices/upcoming").json()
        assert (first["total"], second["total"]) == ("49.00", "1.21")
        assert {"lines", "tax_is_known"} <= set(first)
        made.pass_months()
        made.run()
        assert [one["total"] for one in made.invoices()] == ["49.00", "1.21"]
        assert [one["dated_at"] for one in made.invoices()] == [first["dated_at"], second["dated_at"]]

    def test_asks_for_the_tax_codes_that_are_there(self) -> None:
        made, meter = billed("DE"), make_meter("sum")
        who = owner(made.id)
        price = {"USD": {"model": "per_unit", "unit_price": "1"}}
        calls = metered("use", meter=meter.key, prices=price, tax_code="telephony")
        subscribe(who, sell(fee("100", tax_code="saas", timing="arrears"), calls))
        record(made.id, new_event(meter.definition.event_type or "", now_of(made.id), {"units": "10"}))
        simulate(organization=made.id, until=of_month(made))
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        assert (upcoming["tax_is_known"], upcoming["tax"], upcoming["total"]) == (True, "20.90", "130.90")
        made.pass_months()
        made.run()
        assert (made.invoices()[0]["tax"], made.invoices()[0]["total"]) == ("20.90", "130.90")

    def test_is_that_of_a_threshold_that_is_reached(self) -> None:
        made = billed()
        made.use("3")
        body = {"organization": str(made.id), "threshold": "2"}
        assert made.finance.patch("/v1/billing-cycle", body).status_code == 200
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        made.run()
        one = made.only()
        assert (one["total"], one["period_end"][:16]) == ("3.00", upcoming["period_end"][:16])
        assert made.reader.get("/v1/invoices/upcoming").json()["total"] == "0.00"

    def test_of_nothing_is_empty(self) -> None:
        made = billed()
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        assert (upcoming["total"], upcoming["lines"]) == ("0.00", [])
        assert problem(made.finance.get("/v1/invoices/upcoming")) == (400, "invalid_parameter")

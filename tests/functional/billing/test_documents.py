"""What becomes of an invoice: finalised, voided, paid, written off, credited, sent; what is refused (S76, B2-B4)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from billing.operations.simulating import simulate
from tests.builders.billing import CENT, DOLLAR, Billed, billed, item, owe, with_invoice
from tests.builders.books import balances, rows
from tests.builders.orgs import caller, make_organization, unique, write
from tests.builders.subscriptions import now_of

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"
WHY = {"reason": "It was wrong."}
PAYMENT = {"amount": "3", "currency": "USD", "method": "bank_transfer", "reference": "R-1"}


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def drafted(*amounts: str, **given: Any) -> tuple[Billed, dict[str, Any]]:
    """A customer with one draft over an item of each amount, in cents."""
    made = billed(**given)
    due = datetime.now(UTC) - timedelta(seconds=1)
    owe(made.id, *(item(due_at=due, amount=int(amount) * CENT) for amount in amounts or ("4900",)))
    made.run()
    return made, made.only()


def waiting_for_tax() -> tuple[Billed, str]:
    """A customer whose VAT id nobody has answered for, and a draft of its."""
    made = billed(country="FR")
    made.profile(tax={"vat_id": "FR40303265045"})
    owe(made.id, item(due_at=datetime.now(UTC)))
    made.run()
    return made, made.only()["id"]


def tries(invoice: str) -> list[tuple[str, datetime]]:
    """What happened to an invoice, and when it was to be finalised after that."""
    return rows(
        "SELECT type, (data->>'finalize_at')::timestamptz FROM v_events WHERE stream = %s ORDER BY version",
        f"invoice:{invoice}",
    )


class TestFinalizing:
    def test_gives_a_draft_its_number_before_its_time(self) -> None:
        made, draft = drafted()
        key = unique()
        done = made.act(draft["id"], "finalize", key=key)
        shown = done.json()
        assert (done.status_code, shown["status"], shown["number"][-6:]) == (200, "open", "000001")
        due = datetime.fromisoformat(shown["due_at"]) - datetime.fromisoformat(shown["finalized_at"])
        assert due == timedelta(days=14)
        again = made.act(draft["id"], "finalize", key=key)
        assert (again.content, again.headers["Idempotent-Replayed"]) == (done.content, "true")
        with made.still():
            assert problem(made.act(draft["id"], "finalize")) == (409, "invalid_transition")
        made.assert_sound()

    def test_is_for_finance_alone_and_finds_only_what_is_there(self) -> None:
        made, draft = drafted()
        admin = caller(made.id, "admin")
        with made.still():
            for verb, body in (
                ("finalize", None),
                ("void", WHY),
                ("pay", PAYMENT),
                ("write-off", WHY),
                ("send", None),
            ):
                path = f"/v1/invoices/{draft['id']}/{verb}"
                assert problem(admin.post(path, body, key=unique())) == (403, "forbidden")
                assert problem(made.act(UNKNOWN, verb, body)) == (404, "not_found")
                if verb != "send":
                    assert problem(made.finance.post(path, body)) == (400, "idempotency_key_required")
            assert problem(made.act(draft["id"], "finalize", {"status": "open"})) == (400, "read_only_field")
            assert problem(made.act(draft["id"], "finalize", {"colour": "red"})) == (400, "unknown_field")

    def test_counts_without_a_gap_whatever_was_void(self) -> None:
        made = billed()
        for _ in range(3):
            made.use("1")
            made.pass_months()
            made.run()
        assert made.act(made.invoices()[1]["id"], "void", WHY).status_code == 200
        made.pass_months()
        made.customer.pass_time(hours=2)  # also a month that ended this very hour has its number
        made.run()
        by_year: dict[str, list[int]] = {}
        for one in made.invoices():
            by_year.setdefault(one["number"].split("-")[1], []).append(int(one["number"][-6:]))
        assert sum(map(len, by_year.values())) == 4
        assert all(counters == list(range(1, len(counters) + 1)) for counters in by_year.values())
        made.assert_sound()

    def test_of_a_sandbox_are_no_numbers_of_the_sellers_own_series(self) -> None:
        tried = billed()
        real = billed(sandbox=False)
        entity = tried.reader.get("/v1/billing-profile").json()["legal_entity"]
        real.profile(legal_entity=entity)
        numbers = []
        for made in (tried, real, tried, real):
            owe(made.id, item(due_at=datetime.now(UTC)))
            made.run()
            draft = next(one for one in made.invoices() if one["status"] == "draft")
            numbers.append(made.act(draft["id"], "finalize").json()["number"])
        year = datetime.now(UTC).year
        assert numbers == [
            f"{series}-{year}-{counter:06}" for counter in (1, 2) for series in ("TEST", "INV")
        ]


class TestTax:
    def test_is_on_the_invoice_and_in_the_books_once_per_rate(self) -> None:
        made, draft = drafted("333", "333", country="DE")
        done = made.act(draft["id"], "finalize").json()
        assert (done["net"], done["tax"], done["total"]) == ("6.66", "1.27", "7.93")
        assert [(one["percent"], one["category"], one["base"]) for one in done["taxes"]] == [
            ("19", "S", "6.66")
        ]
        assert [line["tax"] for line in made.lines(draft["id"])] == ["0.64", "0.63"]
        assert balances(made.id) == {
            "receivable": -793 * CENT, "revenue": 666 * CENT, "tax_payable": 127 * CENT,
        }  # fmt: skip
        made.assert_sound()

    def test_that_nobody_knows_lets_the_invoice_wait_without_tax_lines(self) -> None:
        made, draft = drafted(country="FR")
        made.profile(tax={"vat_id": "FR40303265045"})
        made.customer.pass_time(hours=2)
        owe(made.id, item(due_at=datetime.now(UTC)))
        made.run()
        second = next(one for one in made.invoices() if one["id"] != draft["id"])
        made.customer.pass_time(hours=2)
        made.run()
        waiting = made.reader.get(f"/v1/invoices/{second['id']}").json()
        assert (waiting["status"], waiting["taxes"], waiting["number"]) == ("tax_pending", [], None)
        assert "VAT id" in waiting["error"]
        assert problem(made.pay(second["id"], "1")) == (409, "invalid_transition")
        made.profile(tax={"vat_answer": "valid"})
        made.customer.pass_time(hours=2)
        made.run()
        done = made.reader.get(f"/v1/invoices/{second['id']}").json()
        assert (done["status"], done["tax"], done["taxes"][0]["category"]) == ("open", "0.00", "AE")
        made.assert_sound()

    def test_is_asked_for_ever_more_rarely_and_given_up_after_a_month(self) -> None:
        made, waiting = waiting_for_tax()
        simulate(organization=made.id, until=now_of(made.id) + timedelta(days=70))
        *told, (last, _) = tries(waiting)
        pauses = [round((after - before) / timedelta(hours=1)) for (_, before), (_, after) in pairwise(told)]
        assert pauses == [1, 2, 4, 8, 16, *[24] * 29]
        assert last == "invoice.failed"
        shown = made.reader.get(f"/v1/invoices/{waiting}").json()
        assert (shown["status"], shown["number"]) == ("failed", None)

    @pytest.mark.parametrize("days", [5, 70])
    def test_is_asked_for_at_once_when_the_profile_says_more(self, days: int) -> None:
        made, waiting = waiting_for_tax()
        simulate(organization=made.id, until=now_of(made.id) + timedelta(days=days))
        before = tries(waiting)
        made.profile(purchase_order="PO-1")
        assert tries(waiting) == before
        made.profile(tax={"vat_answer": "valid"})
        made.run()
        done = made.reader.get(f"/v1/invoices/{waiting}").json()
        assert (done["status"], done["taxes"][0]["category"]) == ("open", "AE")
        made.assert_sound()


class TestVoiding:
    def test_reverses_the_books_and_lets_the_next_invoice_bill_it_again(self) -> None:
        made, invoice = with_invoice("1.005", "2")
        owed = balances(made.id)
        done = made.act(invoice["id"], "void", WHY)
        assert (done.status_code, done.json()["status"], done.json()["due"]) == (200, "void", "0.00")
        posted = balances(made.id)
        assert posted["unbilled_receivable"] == -300_500_000
        assert "receivable" not in posted and "rounding" not in posted
        assert posted["revenue"] == owed["revenue"]
        made.use("4")
        made.pass_months()
        made.run()
        second = made.invoices()[-1]
        assert (second["total"], second["number"] != invoice["number"]) == ("7.01", True)
        assert sorted(line["amount"] for line in made.lines(second["id"])) == ["3.01", "4.00"]
        made.assert_sound()

    def test_gives_items_back_to_the_next_boundary(self) -> None:
        made, draft = drafted()
        assert made.act(draft["id"], "void", WHY).json()["number"] is None
        assert made.run() == 0
        made.pass_months()
        made.run()
        again = made.invoices()[-1]
        assert (again["total"], again["status"], again["id"] != draft["id"]) == ("49.00", "open", True)
        made.assert_sound()

    def test_is_refused_once_something_was_paid_and_without_a_reason(self) -> None:
        made, invoice = with_invoice("3")
        assert made.pay(invoice["id"], "1").status_code == 200
        with made.still():
            assert problem(made.act(invoice["id"], "void", WHY)) == (409, "invalid_transition")
            assert problem(made.act(invoice["id"], "void", {"reason": " "})) == (400, "invalid_field")
            assert problem(made.act(invoice["id"], "void", {})) == (400, "invalid_field")


class TestPaying:
    def test_in_parts_settles_it_with_the_last(self) -> None:
        made, invoice = with_invoice("3")
        first = made.pay(invoice["id"], "1.25")
        assert (first.json()["status"], first.json()["due"]) == ("open", "1.75")
        last = made.pay(invoice["id"], "1.75").json()
        assert (last["status"], last["due"], last["paid"]) == ("paid", "0.00", "3.00")
        assert len(last["payments"]) == 2
        assert balances(made.id)["cash"] == -3 * DOLLAR
        assert "receivable" not in balances(made.id)
        with made.still():
            assert problem(made.pay(invoice["id"], "1")) == (409, "invalid_transition")
        made.assert_sound()

    def test_too_much_leaves_credit(self) -> None:
        made, invoice = with_invoice("3")
        paid = made.pay(invoice["id"], "5").json()
        assert (paid["status"], paid["paid"], paid["payments"][0]["applied"]) == ("paid", "3.00", "3.00")
        assert made.customer.available() == "2"
        made.assert_sound()

    def test_from_the_customers_credit_takes_no_more_than_it_has(self) -> None:
        made, invoice = with_invoice("3")
        made.customer.grant("2")
        with made.still():
            refused = made.pay(invoice["id"], "2.01", method="credit")
            assert problem(refused) == (422, "amount_exceeds_available")
            assert problem(made.pay(invoice["id"], "4", method="credit")) == (422, "amount_exceeds_available")
        assert made.pay(invoice["id"], "2", method="credit").json()["due"] == "1.00"
        assert made.customer.available() == "0"
        made.assert_sound()

    def test_from_the_customers_credit_takes_no_more_than_is_due(self) -> None:
        made, invoice = with_invoice("3")
        made.customer.grant("10")
        with made.still():
            refused = made.pay(invoice["id"], "3.01", method="credit")
            assert problem(refused) == (422, "amount_exceeds_available")
        assert made.pay(invoice["id"], "3", method="credit").json()["status"] == "paid"
        assert made.customer.available() == "7"
        made.assert_sound()

    def test_counts_a_reference_and_a_call_once(self) -> None:
        made, invoice = with_invoice("3")
        key = unique()
        first = made.act(invoice["id"], "pay", {**PAYMENT, "amount": "1"}, key=key)
        again = made.act(invoice["id"], "pay", {**PAYMENT, "amount": "1"}, key=key)
        assert (first.content, again.headers["Idempotent-Replayed"]) == (again.content, "true")
        with made.still():
            assert problem(made.act(invoice["id"], "pay", PAYMENT)) == (409, "name_conflict")
            other = made.act(invoice["id"], "pay", PAYMENT, key=key)
            assert problem(other) == (422, "idempotency_key_reused")
        made.assert_sound()

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"amount": "0"}, (400, "invalid_amount")),
            ({"amount": "1.005"}, (400, "invalid_amount")),
            ({"amount": "-1"}, (400, "invalid_amount")),
            ({"amount": "1e2"}, (400, "invalid_amount")),
            ({"amount": None}, (400, "invalid_amount")),
            ({"currency": "EUR"}, (422, "currency_mismatch")),
            ({"method": "shells"}, (400, "invalid_field")),
            ({"reference": ""}, (400, "invalid_field")),
            ({"reference": "a\u0000b"}, (400, "invalid_text")),
            ({"paid_at": "yesterday"}, (400, "invalid_datetime")),
            ({"status": "paid"}, (400, "read_only_field")),
            ({"note": "x"}, (400, "unknown_field")),
        ],
    )
    def test_that_is_wrong_is_refused_and_moves_nothing(self, change: dict[str, Any], expected: Any) -> None:
        made, invoice = with_invoice("3")
        with made.still():
            assert problem(made.act(invoice["id"], "pay", {**PAYMENT, **change})) == expected


class TestWritingOff:
    def test_makes_a_loss_that_a_late_payment_takes_back(self) -> None:
        made, invoice = with_invoice("3")
        made.pay(invoice["id"], "1")
        gone = made.act(invoice["id"], "write-off", WHY).json()
        assert (gone["status"], gone["due"], gone["written_off"]) == ("uncollectible", "0.00", "2.00")
        assert balances(made.id)["bad_debt"] == -2 * DOLLAR
        made.assert_sound()
        with made.still():
            assert problem(made.act(invoice["id"], "write-off", WHY)) == (409, "invalid_transition")
            assert problem(made.act(invoice["id"], "void", WHY)) == (409, "invalid_transition")
        paid = made.pay(invoice["id"], "2").json()
        assert (paid["status"], paid["written_off"]) == ("paid", "0.00")
        assert "bad_debt" not in balances(made.id)
        made.assert_sound()


class TestCreditNotes:
    def test_of_the_whole_take_back_everything_and_no_more(self) -> None:
        made, draft = drafted("1000", "2000", country="DE")
        made.act(draft["id"], "finalize")
        note = made.act(draft["id"], "credit-notes", WHY)
        shown = note.json()
        assert (note.status_code, shown["total"], shown["tax"], shown["receivable"]) == (
            201,
            "35.70",
            "5.70",
            "35.70",
        )
        assert shown["number"].startswith("TESTCN-") and shown["number"].endswith("000001")
        after = made.reader.get(f"/v1/invoices/{draft['id']}").json()
        assert (after["status"], after["due"], after["credited"]) == ("paid", "0.00", "35.70")
        assert balances(made.id) == {}
        with made.still():
            assert problem(made.act(draft["id"], "credit-notes", WHY)) == (422, "credit_exceeds_invoice")
        made.assert_sound()

    def test_in_parts_sum_to_exactly_the_invoice(self) -> None:
        made, draft = drafted("333", "333", "334", country="DE")
        whole = made.act(draft["id"], "finalize").json()
        for amount in ("0.01", "3.33", "7"):
            assert made.act(draft["id"], "credit-notes", {**WHY, "amount": amount}).status_code == 201
        made.act(draft["id"], "credit-notes", {**WHY, "lines": [{"line": 2, "net": "0.01"}]})
        made.act(draft["id"], "credit-notes", WHY)
        notes = made.reader.get(f"/v1/invoices/{draft['id']}/credit-notes").json()["data"]
        for figure in ("net", "tax", "total"):
            assert round(sum(float(note[figure]) for note in notes), 2) == float(whole[figure])
        assert [int(note["number"][-6:]) for note in notes] == [5, 4, 3, 2, 1]
        assert balances(made.id) == {}
        made.assert_sound()

    def test_of_what_was_paid_give_credit(self) -> None:
        made, invoice = with_invoice("3")
        made.pay(invoice["id"], "2")
        note = made.act(invoice["id"], "credit-notes", {**WHY, "amount": "2.50"}).json()
        assert (note["receivable"], note["credit"]) == ("1.00", "1.50")
        assert made.customer.available() == "1.5"
        after = made.reader.get(f"/v1/invoices/{invoice['id']}").json()
        assert (after["status"], after["due"]) == ("paid", "0.00")
        one = made.reader.get(f"/v1/credit-notes/{note['id']}").json()
        assert one == note
        stranger = caller(make_organization(), "billing:read")
        assert problem(stranger.get(f"/v1/credit-notes/{note['id']}")) == (404, "not_found")
        assert made.reader.get("/v1/credit-notes").json()["data"] == [note]
        made.assert_sound()

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"amount": "3.01"}, (422, "credit_exceeds_invoice")),
            ({"lines": [{"line": 1, "net": "3.01"}]}, (422, "credit_exceeds_invoice")),
            ({"lines": [{"line": 2, "net": "1"}]}, (422, "credit_exceeds_invoice")),
            ({"lines": [{"line": 1, "net": "1"}, {"line": 1, "net": "1"}]}, (400, "invalid_field")),
            ({"lines": []}, (400, "invalid_field")),
            ({"amount": "1", "lines": [{"line": 1, "net": "1"}]}, (400, "invalid_field")),
            ({"amount": "1.001"}, (400, "invalid_amount")),
            ({"amount": "0"}, (400, "invalid_amount")),
            ({"reason": ""}, (400, "invalid_field")),
            ({"number": "CN-1"}, (400, "read_only_field")),
        ],
    )
    def test_that_are_wrong_are_refused_and_move_nothing(self, body: dict[str, Any], expected: Any) -> None:
        made, invoice = with_invoice("3")
        admin = caller(made.id, "admin")
        with made.still():
            assert problem(made.act(invoice["id"], "credit-notes", {**WHY, **body})) == expected
            path = f"/v1/invoices/{invoice['id']}/credit-notes"
            assert problem(admin.post(path, WHY, key=unique())) == (403, "forbidden")

    def test_are_not_of_drafts_and_void_invoices(self) -> None:
        made, draft = drafted()
        with made.still():
            assert problem(made.act(draft["id"], "credit-notes", WHY)) == (409, "invalid_transition")


class TestWhatIsFinalised:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE invoices SET total = total + 1, net = net + 1, subtotal = subtotal + 1 WHERE id = %s",
            "UPDATE invoices SET customer = '{}' WHERE id = %s",
            "UPDATE invoices SET number = 'X' WHERE id = %s",
            "UPDATE invoice_lines SET description = 'x' WHERE invoice_id = %s",
            "UPDATE invoice_lines SET invoice_id = organization WHERE invoice_id = %s",
            "INSERT INTO invoice_lines SELECT invoice_id, n + 1, organization, kind, description, quantity, charge,"
            " funded, amount, remainder, discount, net, tax, tax_code, treatment, account, service_start, service_end,"
            " item_id, subscription, contract, charge_key, plan_version, detail FROM invoice_lines"
            " WHERE invoice_id = %s",
        ],
    )
    def test_is_changed_by_no_sql_of_the_application(self, statement: str) -> None:
        _, invoice = with_invoice("1")
        with pytest.raises(psycopg.errors.RestrictViolation):
            write(lambda cur: cur.execute(statement, (invoice["id"],)))

    @pytest.mark.parametrize("table", ["invoices", "invoice_lines", "credit_notes", "invoice_payments"])
    def test_is_deleted_by_no_sql_of_the_application(self, table: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            write(lambda cur: cur.execute(f"DELETE FROM {table}"))

    def test_may_still_be_paid(self) -> None:
        _, invoice = with_invoice("1")
        statement = "UPDATE invoices SET paid = paid WHERE id = %s"
        assert write(lambda cur: cur.execute(statement, (invoice["id"],)).rowcount) == 1

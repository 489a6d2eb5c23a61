"""In a currency that the processor charges in coarser steps than its coins, an invoice comes to a multiple of the step
by a line that says so (Y4), and so does what is taken back of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing.queries.invoices import find_note
from billing.queries.terms import credit_note_terms, invoice_terms
from common.ids import new_id
from events.rebuilding.run import rebuild
from tests.builders.billing import Billed, billed, item, owe
from tests.builders.books import balances
from tests.builders.gate import units
from tests.builders.orgs import platform, unique, write
from tests.builders.paying import Payer, paying
from tests.builders.stripe import Simulator

WHY = {"reason": "It was wrong."}
SHOWN = ("kind", "amount", "net", "tax", "tax_percent")
FIGURES = ("subtotal", "discount", "net", "tax", "total", "taxes")


def signed(text: str) -> int:
    """Units of a decimal of either sign."""
    return -units(text[1:]) if text.startswith("-") else units(text)


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def drafted(*amounts: str, **given: Any) -> tuple[Billed, dict[str, Any]]:
    """A customer in dinars with one draft over an item of each amount; 19 % tax where it says DE."""
    made = billed(currency="KWD", **given)
    return made, draft_of(made, *amounts)


def draft_of(made: Billed, *amounts: str) -> dict[str, Any]:
    known = {one["id"] for one in made.invoices()}
    due = datetime.now(UTC)
    owe(made.id, *(item(due_at=due, currency="KWD", amount=signed(amount)) for amount in amounts))
    made.run()
    (draft,) = (one for one in made.invoices() if one["id"] not in known)
    return draft


def opened(*amounts: str, **given: Any) -> tuple[Billed, dict[str, Any]]:
    made, draft = drafted(*amounts, **given)
    answer = made.act(draft["id"], "finalize")
    assert answer.status_code == 200, answer.content
    return made, answer.json()


def charged(simulator: Simulator, amount: str, **given: Any) -> tuple[Payer, dict[str, Any]]:
    """A customer in dinars whose card an invoice over this and 19 % tax was charged to."""
    made = paying(simulator, currency="KWD", **{"country": "DE", **given})
    draft = draft_of(made.made, amount)
    assert made.made.act(draft["id"], "finalize").status_code == 200
    made.send()
    return made, made.invoice(draft["id"])


class TestAnInvoice:
    def test_is_charged_by_itself_whatever_its_lines_and_tax_come_to(
        self, stripe_simulator: Simulator
    ) -> None:
        made, invoice = charged(stripe_simulator, "12.345")
        assert (invoice["status"], invoice["tax"], invoice["total"]) == ("paid", "2.346", "14.690")
        assert made.charged() == [14_690]
        made.made.assert_sound()

    def test_has_a_line_without_tax_for_it_in_an_account_of_its_own(self) -> None:
        made, invoice = opened("12.345", country="DE")
        fee, rounding = made.lines(invoice["id"])
        assert (fee["kind"], fee["amount"], fee["tax"]) == ("recurring", "12.345", "2.346")
        assert [rounding[name] for name in SHOWN] == ["rounding", "-0.001", "-0.001", "0.000", "0"]
        assert rounding["description"] == "Rounding to 0.010 KWD"
        assert (invoice["subtotal"], invoice["net"], invoice["due"]) == ("12.344", "12.344", "14.690")
        assert [(one["percent"], one["base"]) for one in invoice["taxes"]] == [("19", "12.345")]
        assert balances(made.id) == {
            "receivable": -units("14.690"),
            "revenue": units("12.345"),
            "tax_payable": units("2.346"),
            "rounding": -units("0.001"),
        }
        explained = made.reader.get(f"/v1/invoices/{invoice['id']}/lines/2/explain").json()
        assert (explained["account"], explained["remainder"]) == ("rounding", "0")
        (step,) = explained["steps"]
        assert (step["values"], step["result"]) == ({"total": "14.691", "step": "0.010"}, "-0.001")
        made.assert_sound()
        assert rebuild().differences == []

    def test_is_what_its_preview_was(self) -> None:
        made = billed(currency="KWD", country="DE")
        made.use("1.2345", "0.75001")
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        made.pass_months()
        made.run()
        invoice = made.only()
        assert [upcoming[name] for name in FIGURES] == [invoice[name] for name in FIGURES]
        assert upcoming["lines"] == made.lines(invoice["id"])
        assert (upcoming["lines"][-1]["kind"], invoice["total"]) == ("rounding", "2.360")
        made.assert_sound()

    def test_is_rounded_when_its_tax_is_known(self) -> None:
        made = billed(currency="KWD", country="FR")
        made.profile(tax={"vat_id": "FR40303265045"})
        draft = draft_of(made, "12.345")
        assert (draft["total"], len(made.lines(draft["id"]))) == ("12.345", 1)
        assert made.act(draft["id"], "finalize").json()["status"] == "tax_pending"
        made.profile(tax={"vat_answer": "valid"})
        done = made.act(draft["id"], "finalize").json()
        assert (done["status"], done["total"], done["tax"]) == ("open", "12.350", "0.000")
        assert [line["net"] for line in made.lines(draft["id"])] == ["12.345", "0.005"]
        made.assert_sound()
        assert rebuild().differences == []

    @pytest.mark.parametrize(
        ("amount", "total", "credit"),
        [("0.004", "0.000", "0"), ("0.005", "0.010", "0"), ("-0.004", "-0.004", "0.004")],
        ids=["less than half a step", "half a step", "below zero"],
    )
    def test_of_next_to_nothing_is_never_below_it(self, amount: str, total: str, credit: str) -> None:
        made, invoice = opened(amount)
        assert (invoice["total"], invoice["due"]) == (total, "0.010" if total == "0.010" else "0.000")
        assert invoice["status"] == ("open" if total == "0.010" else "paid")
        assert made.customer.available() == credit
        made.assert_sound()

    def test_of_each_contract_its_own_has_its_own(self) -> None:
        made = billed(currency="KWD", country="DE")
        made.profile(consolidation="subscription")
        one, other = (item(currency="KWD", amount=units("1.111"), contract=new_id()) for _ in range(2))
        owe(made.id, one, other, item(currency="KWD", amount=units("2.5")))
        made.run()
        added = [[line["net"] for line in made.lines(each["id"])][1:] for each in made.invoices()]
        assert [(each["total"], each["taxes"][0]["base"]) for each in made.invoices()] == [
            ("1.320", "1.111"), ("1.320", "1.111"), ("2.980", "2.500"),
        ]  # fmt: skip
        assert added == [["-0.002"], ["-0.002"], ["0.005"]]
        made.assert_sound()

    def test_that_is_void_leaves_nothing_of_it(self) -> None:
        made, invoice = opened("12.345", country="DE")
        assert made.act(invoice["id"], "void", WHY).status_code == 200
        assert balances(made.id) == {}
        made.assert_sound()

    def test_says_so_beside_net_and_tax_where_it_is_printed(self) -> None:
        made, invoice = opened("12.345", country="DE")
        terms = write(lambda cur: invoice_terms(cur, organization=made.id, invoice=invoice["id"]))
        names = ("BT-109", "BT-110", "BT-112", "BT-114", "total", "BT-115")
        assert [terms["BG-22"][name] for name in names] == [
            "12.345", "2.346", "14.691", "-0.001", "14.690", "14.690",
        ]  # fmt: skip
        assert [line["BT-131"] for line in terms["BG-25"]] == ["12.345"]
        pdf = made.reader.get(f"/v1/invoices/{invoice['id']}/pdf")
        assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")


class TestWhatIsTakenBack:
    def test_goes_back_by_the_card_in_steps_that_it_can(self, stripe_simulator: Simulator) -> None:
        made, invoice = charged(stripe_simulator, "12.345")
        with made.made.still():
            refused = made.made.act(invoice["id"], "credit-notes", {**WHY, "amount": "1.234"})
            assert problem(refused) == (422, "amount_too_fine")
            assert refused.json()["errors"][0]["pointer"] == "/amount"
        part = made.made.act(invoice["id"], "credit-notes", {**WHY, "amount": "1.230"}).json()
        rest = made.made.act(invoice["id"], "credit-notes", WHY).json()
        assert (part["credit"], rest["credit"]) == ("1.230", "13.460")
        for note in (part, rest):
            answer = platform().post(f"/v1/credit-notes/{note['id']}/refund", key=unique())
            assert answer.status_code == 200, answer.content
            made.send()
        assert sorted(made.refunded()) == [1_230, 13_460]
        assert "rounding" not in balances(made.id) and "customer_credit" not in balances(made.id)
        made.made.assert_sound()

    def test_by_an_amount_that_makes_up_for_a_fine_payment_is_taken(self) -> None:
        made, invoice = opened("12.345")
        assert made.pay(invoice["id"], "0.003", currency="KWD").json()["due"] == "12.347"
        note = made.act(invoice["id"], "credit-notes", {**WHY, "amount": "0.007"})
        assert (note.status_code, note.json()["receivable"]) == (201, "0.007")
        assert made.reader.get(f"/v1/invoices/{invoice['id']}").json()["due"] == "12.340"
        made.assert_sound()

    def test_with_the_last_line_takes_the_rounding_with_it(self) -> None:
        made, invoice = opened("3.006", "3.007")
        assert invoice["total"] == "6.010"
        for line, net, total in ((1, "3.006", "3.006"), (2, "3.007", "3.004")):
            body = {**WHY, "lines": [{"line": line, "net": net}]}
            note = made.act(invoice["id"], "credit-notes", body).json()
            assert note["total"] == total
        assert [(one["line"], one["net"]) for one in note["lines"]] == [(2, "3.007"), (3, "-0.003")]
        assert [one["base"] for one in note["taxes"]] == ["3.007"]
        terms = write(
            lambda cur: credit_note_terms(cur, find_note(cur, organization=made.id, note=note["id"]))
        )
        assert [terms["BG-22"][name] for name in ("BT-112", "BT-114", "total")] == [
            "3.007",
            "-0.003",
            "3.004",
        ]
        assert made.reader.get(f"/v1/credit-notes/{note['id']}/pdf").content[:5] == b"%PDF-"
        assert balances(made.id) == {}
        made.assert_sound()

    def test_by_an_invoice_below_zero_leaves_of_others_what_can_be_charged(self) -> None:
        made, invoice = opened("10")
        less = draft_of(made, "-3.456")
        assert made.act(less["id"], "finalize").json()["status"] == "paid"
        assert made.reader.get(f"/v1/invoices/{invoice['id']}").json()["due"] == "6.550"
        assert made.customer.available() == "0.006"
        made.assert_sound()

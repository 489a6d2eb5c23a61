"""What somebody with a contract tries, to pay less than was agreed or to be paid twice; and what comes of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.rules.meters import Meter
from tests.builders.billing import Billed, billed
from tests.builders.books import balances
from tests.builders.catalog import make_coupon
from tests.builders.contracts import acted, agreed, commitment, paper
from tests.builders.gate import units
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import Caller, unique
from tests.builders.revenue import recognise
from tests.builders.subscribed import metered
from tests.builders.subscriptions import now_of, owner, sell, subscribe

COMMITTED = "100"
GONE = ("customer_credit", "deferred_revenue", "unbilled_receivable")


def months(made: Billed, count: int) -> None:
    """Let so many months pass, each with its run."""
    for _ in range(count):
        made.pass_months()
        made.run()


def to_pay(made: Billed) -> int:
    """All invoices that are not void, net, in whole units of the currency."""
    shown = [invoice["net"] for invoice in made.invoices() if invoice["status"] != "void"]
    return sum(units(net) if not net.startswith("-") else -units(net[1:]) for net in shown) // units("1")


class Counting:
    """A customer that committed a hundred dollars and has a meter at a dollar for each unit."""

    def __init__(
        self, *, days: int, offset: int = 0, every: str = "month", country: str = "US", **terms: Any
    ) -> None:
        self.made = billed(country, credit_limit=units("1000000"))
        self.meter: Meter = make_meter("sum")
        self.who: Caller = owner(self.made.id)
        subscribe(self.who, sell(self.charge(), interval={"unit": every, "count": 1}))
        agreed(self.made.id, COMMITTED, days=days, offset=offset, commitment=commitment(**terms))

    def charge(self) -> dict[str, Any]:
        """A dollar for each unit."""
        price = {"USD": {"model": "per_unit", "unit_price": "1"}}
        return metered("use", meter=self.meter.key, prices=price)

    def count(self, quantity: str) -> Any:
        """An event, a second ago, after a minute; its id."""
        self.made.customer.pass_time(minutes=1)
        moment = now_of(self.made.id) - timedelta(seconds=1)
        event = new_event(self.meter.definition.event_type or "", moment, {"units": quantity})
        return record(self.made.id, event)[0]

    def void(self, event: Any) -> None:
        """The customer takes an event of its own back."""
        answer = self.who.post(f"/v1/events/{event}/void", {"reason": "oops"}, key=unique())
        assert answer.status_code == 200, answer.content

    def paid_in_the_end(self, *, after: int = 4) -> int:
        """What all invoices come to when every window is settled."""
        months(self.made, after)
        self.made.assert_sound()
        assert [name for name in GONE if name in balances(self.made.id)] == []
        return to_pay(self.made)


def case(kind: str, kept: str, voided: str, expected: int, **terms: Any) -> Any:
    """A window of this kind: so much used, so much of it taken back, and what it comes to."""
    words = "-".join([kind, kept, "less", voided, *(str(name) for name in terms)])
    return pytest.param({"kind": kind, **terms}, kept, voided, expected, id=words)


CASES = [
    case("postpaid", "0", "100", 100),
    case("postpaid", "30", "100", 100),
    case("postpaid", "90", "60", 100),
    case("postpaid", "120", "40", 120),
    case("postpaid", "70", "20", 70, true_up=False),
    case("prepaid", "0", "100", 100),
    case("prepaid", "120", "40", 120),
    case("minimum", "0", "100", 100),
    case("minimum", "120", "40", 120),
]


@pytest.mark.parametrize(("terms", "kept", "voided", "expected"), CASES)
class TestUseOfACommitmentThatIsTakenBack:
    def test_lowers_nothing_below_what_was_committed_before_the_settlement(
        self, terms: dict[str, Any], kept: str, voided: str, expected: int
    ) -> None:
        made = Counting(days=80, window="segment", **terms)
        if kept != "0":
            made.count(kept)
        event = made.count(voided)
        months(made.made, 1)
        made.void(event)
        months(made.made, 1)
        assert made.paid_in_the_end() == expected

    def test_nor_after_it(self, terms: dict[str, Any], kept: str, voided: str, expected: int) -> None:
        made = Counting(days=35, window="segment", **terms)
        if kept != "0":
            made.count(kept)
        event = made.count(voided)
        months(made.made, 2)
        made.void(event)
        assert made.paid_in_the_end() == expected


@pytest.mark.parametrize(
    ("terms", "kept", "voided", "expected"),
    [
        case("minimum", "0", "100", 100),
        case("minimum", "0", "120", 100),
        case("minimum", "120", "40", 120),
        case("postpaid", "80", "40", 100),
    ],
)
def test_tax_comes_back_for_what_comes_back_only(
    terms: dict[str, Any], kept: str, voided: str, expected: int
) -> None:
    made = Counting(days=35, country="DE", window="segment", **terms)
    if kept != "0":
        made.count(kept)
    event = made.count(voided)
    months(made.made, 2)
    made.void(event)
    assert made.paid_in_the_end() == expected
    taxes = [Decimal(invoice["tax"]) for invoice in made.made.invoices() if invoice["status"] != "void"]
    assert sum(taxes) == Decimal(19 * expected) / 100


class TestACreditNoteOverUseOfACommitment:
    """Of a hundred 70 are drawn and billed, then 20 taken back."""

    def drawn(self, *, true_up: bool) -> tuple[Counting, Any, str]:
        made = Counting(days=200, window="segment", kind="postpaid", true_up=true_up)
        made.count("50")
        event = made.count("20")
        months(made.made, 2)
        (invoice,) = [one["id"] for one in made.made.invoices() if one["net"] == "70.00"]
        return made, event, invoice

    def note(self, made: Counting, invoice: str) -> str:
        answer = made.made.act(invoice, "credit-notes", {"reason": "r"})
        assert answer.status_code == 201, answer.content
        net: str = answer.json()["net"]
        return net

    def billed_in_the_end(self, made: Counting) -> int:
        months(made.made, 4)
        recognise(made.made)
        made.made.assert_sound()
        assert not {"deferred_revenue", "unbilled_receivable"} & set(balances(made.made.id))
        return to_pay(made.made)

    def test_leaves_out_what_was_given_back(self) -> None:
        made, event, invoice = self.drawn(true_up=False)
        made.void(event)
        months(made.made, 2)
        assert self.note(made, invoice) == "50.00"
        with made.made.still():
            answer = made.made.act(invoice, "credit-notes", {"reason": "r", "amount": "20"})
            assert (answer.status_code, answer.json()["code"]) == (422, "credit_exceeds_invoice")
        assert self.billed_in_the_end(made) == 50

    @pytest.mark.parametrize(("true_up", "expected"), [(False, 70), (True, 100)])
    def test_is_not_given_back_again_with_the_use(self, true_up: bool, expected: int) -> None:
        made, event, invoice = self.drawn(true_up=true_up)
        assert self.note(made, invoice) == "70.00"
        made.void(event)
        months(made.made, 2)
        assert self.billed_in_the_end(made) == expected


@pytest.mark.parametrize(
    ("terms", "kept", "voided", "expected"),
    [
        case("postpaid", "0", "300", 200),
        case("postpaid", "50", "100", 200),
        case("postpaid", "150", "100", 250),
        case("postpaid", "0", "300", 200, rollover_cap="20"),
        case("prepaid", "0", "300", 200),
    ],
)
def test_use_of_a_window_that_rolled_over_lowers_nothing_below_what_was_committed(
    terms: dict[str, Any], kept: str, voided: str, expected: int
) -> None:
    made = Counting(days=14, offset=1, every="week", window="week", rollover=True, **terms)
    if kept != "0":
        made.count(kept)
    event = made.count(voided)
    for days in (8, 4):  # the first of two windows ends, and rolls over
        made.made.customer.pass_time(days=days)
        made.made.run()
    made.void(event)
    assert made.paid_in_the_end(after=2) == expected


FEE = {"key": "support", "name": "Support", "amount": "3650", "interval": {"unit": "year"}}
CENT = 1_000_000


class Fee:
    """A customer that owes 3,650 a year in advance, ten a day; and perhaps a commitment."""

    def __init__(self, *amounts: str, percent: str | None = None, **given: Any) -> None:
        self.made = billed(credit_limit=units("1000000"))
        if percent is not None:
            coupon = make_coupon(percent=percent, duration="once").code
            body = {"organization": str(self.made.id), "coupon": coupon}
            answer = self.made.finance.post("/v1/coupon-redemptions", body, key=unique())
            assert answer.status_code == 201, answer.content
        fees = [{**FEE, "discountable": percent is not None}]
        self.contract = agreed(self.made.id, *amounts, **{"fees": fees, **given})

    def invoiced(self) -> str:
        """Invoice what is owed; the invoice."""
        self.made.run()
        invoice: str = self.made.only()["id"]
        assert self.made.act(invoice, "finalize").status_code == 200
        return invoice

    def pay(self, invoice: str) -> None:
        """Pay all of it."""
        due = self.made.reader.get(f"/v1/invoices/{invoice}").json()["due"]
        assert self.made.pay(invoice, due).status_code == 200

    def note(self, invoice: str, **what: Any) -> None:
        """Take it back by a credit note."""
        answer = self.made.act(invoice, "credit-notes", {"reason": "r", **what})
        assert answer.status_code == 201, answer.content

    def leave(self, mode: str = "prorated") -> None:
        """Terminate the contract, and invoice whatever comes of it."""
        acted(self.contract, "terminate", {"commitment": mode})
        months(self.made, 2)
        self.made.assert_sound()

    def credit(self) -> int:
        """The customer's credit in the books, in whole units of the currency."""
        return balances(self.made.id).get("customer_credit", 0) // (100 * CENT)


class TestAFeeThatIsLeftEarly:
    def test_gives_nothing_back_that_a_credit_note_gave(self) -> None:
        owed = Fee()
        invoice = owed.invoiced()
        owed.pay(invoice)
        owed.note(invoice)
        owed.made.customer.pass_time(days=64)
        owed.leave()
        assert (owed.credit(), to_pay(owed.made)) == (3650, 3650)

    def test_gives_what_is_unused_back_once_beside_a_smaller_credit_note(self) -> None:
        owed = Fee()
        invoice = owed.invoiced()
        owed.pay(invoice)
        owed.note(invoice, amount="650")
        owed.made.customer.pass_time(days=64)
        owed.leave()
        assert owed.credit() == 650 + 3000

    def test_gives_no_more_back_than_was_paid_after_the_coupon(self) -> None:
        owed = Fee(percent="50")
        owed.pay(owed.invoiced())
        owed.made.customer.pass_time(days=64)
        owed.leave()
        assert owed.credit() == 1500

    def test_counts_for_a_minimum_by_what_stays_paid(self) -> None:
        owed = Fee("7300", commitment=commitment("minimum", "segment"))
        owed.pay(owed.invoiced())
        owed.made.customer.pass_time(days=64)
        owed.leave()
        assert to_pay(owed.made) == 65 * 20

    def test_before_it_is_invoiced_takes_the_coupon_off_what_is_left(self) -> None:
        owed = Fee(percent="50")
        acted(owed.contract, "terminate", {"commitment": "prorated"})
        months(owed.made, 1)
        owed.made.assert_sound()
        assert [invoice["net"] for invoice in owed.made.invoices()] == ["5.00"]

    def test_after_its_term_was_shortened_is_given_back_once(self) -> None:
        owed = Fee()
        owed.pay(owed.invoiced())
        shorter = paper(owed.made.id, days=65, fees=[{**FEE, "discountable": False}])
        acted(owed.contract, "amend", {"definition": shorter})
        owed.made.customer.pass_time(days=19)
        owed.made.run()
        owed.leave()
        assert owed.credit() == 3650 - 200


class TestAnAdvanceThatIsLeftEarly:
    def test_gives_nothing_back_that_a_credit_note_gave(self) -> None:
        owed = Fee("365", commitment=commitment("prepaid", "segment"), fees=[])
        invoice = owed.invoiced()
        owed.pay(invoice)
        owed.note(invoice)
        owed.made.customer.pass_time(days=10)
        owed.leave("waive")
        assert owed.credit() == 365
        assert "deferred_revenue" not in balances(owed.made.id)

"""What a contract's customer is invoiced: use of a commitment once, what exceeds it, what is missing (B5, S77)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.builders.billing import Billed, billed
from tests.builders.books import balances
from tests.builders.contracts import agreed, commitment, drafted
from tests.builders.gate import units

GONE = ("customer_credit", "deferred_revenue", "unbilled_receivable")


def customer() -> Billed:
    return billed(credit_limit=units("1000000"))


def to_pay(made: Billed) -> int:
    """All invoices that are not void, net, in units."""
    return sum(units(invoice["net"]) for invoice in made.invoices() if invoice["status"] != "void")


def billed_lines(made: Billed) -> list[tuple[str, str]]:
    """Kind and amount of every line that is to pay."""
    shown = [line for invoice in made.invoices() for line in made.lines(invoice["id"])]
    return [(line["kind"], line["amount"]) for line in shown if units(line["amount"].lstrip("-"))]


def months(made: Billed, count: int) -> None:
    for _ in range(count):
        made.pass_months()
        made.run()


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        (("10.004", "20.004"), "100"),  # below: lifted to the commitment
        (("60.005", "39.995"), "100"),  # exactly
        (("90", "40"), "145"),  # above: 30 at 1.5
        ((), "100"),
    ],
)
def test_a_postpaid_commitment_costs_the_larger_of_committed_and_used(
    uses: tuple[str, ...], expected: str
) -> None:
    made = customer()
    over = commitment("postpaid", "segment", overage={"factor": "1.5"})
    agreed(made.id, "100", days=80, commitment=over)
    for amount in uses:
        made.use(amount)
        months(made, 1)
    months(made, 4)
    assert to_pay(made) == units(expected)
    found = balances(made.id)
    assert [name for name in GONE if name in found] == []
    made.assert_sound()


def test_its_use_is_a_line_of_the_cycle_that_says_how_it_came_about() -> None:
    made = customer()
    contract = agreed(made.id, "100", days=300, commitment=commitment("postpaid", "segment"), net_days=60)
    made.use("12.005")
    months(made, 1)
    invoice = made.only()
    (line,) = [line for line in made.lines(invoice["id"]) if line["kind"] == "commitment"]
    assert (line["amount"], line["contract"]) == ("12.01", contract["id"])
    path = f"/v1/invoices/{invoice['id']}/lines/{line['number']}/explain"
    explained: dict[str, Any] = made.reader.get(path).json()
    assert "12.005 drawn so far - 0 billed" in str(explained)
    made.use("0.004")
    months(made, 1)
    made.use("0.001")  # 12.01 in all: nothing is billed twice
    months(made, 1)
    assert billed_lines(made) == [("commitment", "12.01")]


def test_a_void_invoice_leaves_its_use_to_the_next_one() -> None:
    made = customer()
    agreed(made.id, "100", days=300, commitment=commitment("postpaid", "segment"))
    made.use("12")
    months(made, 1)
    assert made.act(made.only()["id"], "void", {"reason": "wrong address"}).status_code == 200
    made.use("3")
    months(made, 1)
    assert to_pay(made) == units("15")
    made.assert_sound()


def test_a_prepaid_commitment_is_invoiced_at_once_and_only_what_exceeds_it_after_that() -> None:
    made = customer()
    agreed(made.id, "100", days=50, commitment=commitment("prepaid", "segment"))
    made.run()
    assert billed_lines(made) == [("commitment", "100.00")]
    made.use("130")
    months(made, 4)
    assert to_pay(made) == units("130")
    assert [name for name in GONE if name in balances(made.id)] == []
    made.assert_sound()


def test_the_purchase_order_and_days_to_pay_are_the_contracts() -> None:
    made = customer()
    drafted(made.id, purchase_order="PO-0")
    agreed(made.id, "100", purchase_order="PO-9", net_days=60, commitment=commitment("prepaid", "year"))
    made.run()
    invoice = made.only()
    assert invoice["purchase_order"] == "PO-9"
    made.customer.pass_time(hours=2)  # the grace period
    made.run()
    open_invoice = made.only()
    due, issued = (datetime.fromisoformat(open_invoice[name]) for name in ("due_at", "finalized_at"))
    assert timedelta(days=58) < due - issued < timedelta(days=62)

"""What somebody with a contract tries, to pay less than was agreed or to be paid twice; and what comes of it."""

from datetime import timedelta
from typing import Any

import pytest

from billing.rules.meters import Meter
from tests.builders.billing import Billed, billed
from tests.builders.books import balances
from tests.builders.contracts import agreed, commitment
from tests.builders.gate import units
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import Caller, unique
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

    def __init__(self, *, days: int, **terms: Any) -> None:
        self.made = billed(credit_limit=units("1000000"))
        self.meter: Meter = make_meter("sum")
        self.who: Caller = owner(self.made.id)
        subscribe(self.who, sell(self.charge()))
        agreed(self.made.id, COMMITTED, days=days, commitment=commitment(**terms))

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

    def paid_in_the_end(self) -> int:
        """What all invoices come to when every window is settled."""
        months(self.made, 4)
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

"""Customers with thresholds of progressive billing in a month of 31 days, who use tokens at 0.0002 each."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from billing.operations.simulating import simulate
from tests.builders.billing import Billed, billed
from tests.builders.gate import make_model, units, usage_body
from tests.builders.simulated import at, decide, move_to
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, now_of, sell, subscribe

CYCLE = "/v1/billing-cycle"
MARCH, APRIL, MAY = at("2027-03-01T00:00:00"), at("2027-04-01T00:00:00"), at("2027-05-01T00:00:00")
PER_MILLION = {"input": "200", "output": "200"}


def cents(shown: str) -> int:
    """A document's amount in minor units."""
    return units(shown) // 10**6


def set_thresholds(made: Billed, **wanted: Any) -> Any:
    """The answer to PATCH /v1/billing-cycle by finance."""
    return made.finance.patch(CYCLE, {"organization": str(made.id), **wanted})


def progressive(country: str = "US", **wanted: Any) -> Billed:
    """A customer whose clock shows the 20th of February 2027, with these thresholds."""
    made = billed(country, credit_limit=units("1000000"))
    move_to(made.id, at("2027-02-20T00:00:00"))
    made.profile(net_days=300)  # nothing is overdue meanwhile
    made.run()
    answer = set_thresholds(made, **wanted)
    assert answer.status_code == 200, answer.content
    return made


@dataclass
class March:
    """March of a customer with a base fee of 31.00 in arrears."""

    made: Billed
    model: str = field(default_factory=lambda: make_model(components=PER_MILLION))
    subscription: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        plan = sell(fee("31", timing="arrears"), proration="per_day", upgrade="invoice")
        self.subscription = subscribe(decide(self.made), plan, start_at=MARCH.isoformat())

    def go_to(self, day: float) -> None:
        """Let time pass to so many days after the beginning of March."""
        simulate(organization=self.made.id, until=MARCH + timedelta(days=day))

    def use(self, tokens: int) -> int | None:
        """Use tokens now; over how much, in minor units, an invoice is made for it within two hours."""
        made, before = self.made, len(self.made.invoices())
        action = {"kind": "llm.chat", "provider": "acme", "model": self.model}
        used = {"input_tokens": tokens, "output_tokens": 0}
        body = usage_body(None, action=action, occurred_at=now_of(made.id).isoformat(), usage=used)
        answer = made.customer.api.post("/v1/usage", body)
        assert answer.status_code == 201, answer.content
        simulate(organization=made.id, until=now_of(made.id) + timedelta(hours=2))
        new = made.invoices()[before:]
        assert [(one["cause"], one["status"]) for one in new] in ([], [("threshold", "open")])
        return cents(new[0]["total"]) if new else None

    def upgrade(self) -> None:
        """Change to a plan that costs twice as much, and let its invoice be final."""
        plan = sell(fee("62", timing="arrears"), proration="per_day", upgrade="invoice")
        acted(decide(self.made), self.subscription, "change", {"plan": plan.plan_key})
        simulate(organization=self.made.id, until=now_of(self.made.id) + timedelta(hours=2))

    def end(self) -> dict[str, Any]:
        """The invoice of the end of March, finalised."""
        self.go_to(31.5)
        (found,) = [one for one in self.made.invoices() if one["dated_at"] == "2027-04-01T00:00:00Z"]
        return found


def stated(invoice: dict[str, Any]) -> tuple[int, int, int]:
    """Fees, progressive credit and what is due, in minor units, as an invoice states them."""
    found = invoice["progressive"]
    return cents(found["fees"]), cents(found["progressive_credit"]), cents(found["due"])

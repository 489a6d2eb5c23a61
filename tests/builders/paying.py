"""Customers that pay through the processor: the simulator as their bank, the API as their way here."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from billing.operations.commands import deliver
from billing.queries.commands import list_commands
from billing.rules.payments.commands import OPEN_STATES, Command
from tests.builders.billing import CENT, Billed, billed, item, owe
from tests.builders.orgs import Caller, caller, make_member, unique, write
from tests.builders.stripe import Simulator


@dataclass(frozen=True)
class Payer:
    """A customer whose time is everybody's, its owner, finance, and the processor."""

    made: Billed
    owner: Caller
    stripe: Simulator

    @property
    def id(self) -> UUID:
        """The organization."""
        return self.made.id

    def commands(self, purpose: str | None = None, *states: str) -> list[Command]:
        """Its commands, oldest first."""
        found = write(
            lambda cur: list_commands(cur, organization=self.id, purpose=purpose, states=states, limit=1000)
        )
        return found[::-1]

    def send(self) -> None:
        """Send what is asked for, in its order."""
        for command in self.commands(None, *OPEN_STATES):
            deliver(command.id)

    def send_when_due(self) -> None:
        """Send what waits for its next try."""
        self.make_due()
        self.send()

    def make_due(self) -> None:
        """Let what waits for its next try be due."""
        statement = (
            "UPDATE outbound_commands SET next_try_at = '1970-01-01T00:00:00Z' WHERE organization = %s"
        )
        write(lambda cur: cur.execute(statement, (self.id,)))

    def methods(self) -> list[dict[str, Any]]:
        """What it may pay with."""
        found: list[dict[str, Any]] = self.owner.get("/v1/payment-methods").json()["data"]
        return found

    def setup(self, *, key: str | None = None) -> Any:
        """The answer to beginning a setup."""
        return self.owner.post("/v1/payment-methods/setup", key=key)

    def setup_when_due(self) -> Any:
        """The answer to beginning a setup after what failed is due again."""
        self.make_due()
        return self.setup()

    def add_method(self, method: str = "pm_card_visa") -> str:
        """Leave a payment method as a browser does; its id."""
        begun = self.setup()
        assert begun.status_code == 201, begun.content
        self.stripe.decide(setup_intent=begun.json()["setup_intent"], method=method)
        answer = self.owner.post("/v1/payment-methods/refresh")
        assert answer.status_code == 200, answer.content
        found: str = answer.json()["data"][0]["id"]
        return found

    def open_invoice(self, cents: int = 4_900) -> dict[str, Any]:
        """An open invoice; it is charged if the customer is."""
        owe(self.id, item(amount=cents * CENT))
        self.made.run()
        drafts = [one for one in self.made.invoices() if one["status"] == "draft"]
        assert self.made.act(drafts[0]["id"], "finalize").status_code == 200
        return self.invoice(drafts[0]["id"])

    def invoice(self, name: str) -> dict[str, Any]:
        """An invoice as its customer reads it."""
        found: dict[str, Any] = self.made.reader.get(f"/v1/invoices/{name}").json()
        return found

    def collect(self, invoice: str, *, key: str | None = None) -> Any:
        """The answer to collecting an invoice."""
        return self.owner.post(f"/v1/invoices/{invoice}/collect", key=key or unique())

    def paid_invoice(self, cents: int = 4_900) -> tuple[dict[str, Any], UUID]:
        """An invoice that a payment settled, and that payment."""
        found = self.open_invoice(cents)
        self.send()
        paid = self.invoice(found["id"])
        assert paid["status"] == "paid", (paid, self.commands("create_payment"))
        return paid, self.payments()[-1][0]

    def payments(self) -> list[tuple[UUID, str, int]]:
        """Its payments, oldest first: id, status, units received."""
        statement = "SELECT id, status, received FROM payments WHERE organization = %s ORDER BY id"
        return write(lambda cur: cur.execute(statement, (self.id,)).fetchall())

    def charged(self) -> list[int]:
        """What the processor charged, in cents; each once."""
        found = self.stripe.sdk().v1.charges.list({"limit": 100}).auto_paging_iter()
        return [one.amount for one in found if one.status == "succeeded"]

    def refunded(self) -> list[int]:
        """What the processor gave back, in cents."""
        found = self.stripe.sdk().v1.refunds.list({"limit": 100}).auto_paging_iter()
        return [one.amount for one in found if one.status in ("succeeded", "pending")]


def payer(simulator: Simulator, **given: Any) -> Payer:
    """A customer without a payment method."""
    made = billed(**{"sandbox": False, **given})
    member = make_member(made.id, "owner")
    owner = caller(made.id, "billing:read", "billing:write", member=str(member.id))
    return Payer(made, owner, simulator)


def paying(simulator: Simulator, method: str = "pm_card_visa", **given: Any) -> Payer:
    """A customer with a payment method."""
    made = payer(simulator, **given)
    made.add_method(method)
    return made

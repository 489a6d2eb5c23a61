"""Customers that are dunned by the overdue balance of a currency: what they owe us, and what fails at the processor."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from billing.operations.mirroring.applying import apply_invoice
from billing.queries.dunning import organizations_due
from billing.stripe_gateway.mirrored import invoice_view
from tests.builders.billing import billed, item, owe
from tests.builders.deliveries import identifier
from tests.builders.dunning import AUTHOR, DAY, Dunned
from tests.builders.gate import units
from tests.builders.orgs import platform, unique, write
from tests.builders.subscriptions import now_of

POLICIES = "/v1/dunning-policies"
MINUTE = timedelta(minutes=1)
THRESHOLDS = {"EUR": "150.00", "USD": "100.00"}


def document(*steps: tuple[int, str], **given: Any) -> dict[str, Any]:
    """A policy by overdue balance as the API takes it; at most 2 attempts, 2 days apart, unless said otherwise."""
    return {
        "trigger": "overdue_balance",
        "thresholds": THRESHOLDS,
        "max_attempts": 2,
        "days_between_attempts": 2,
        "steps": [{"day": day, "action": action} for day, action in steps],
        **given,
    }


@contextmanager
def policy_by(policy: dict[str, Any]) -> Iterator[str]:
    """A block in which this is everybody's policy; its key."""
    body = {"key": unique("by-balance"), "name": "By balance", "policy": policy, "is_default": True}
    made = platform().post(POLICIES, body, key=unique())
    assert made.status_code == 201, made.content
    key = str(made.json()["key"])
    try:
        yield key
    finally:
        platform().post(f"{POLICIES}/{key}/archive")


class Owing(Dunned):
    """A customer that we invoice in `currency`, due at once; its invoices in others live at the processor, and fail."""

    def __init__(self, currency: str = "USD", *, has_method: bool = True) -> None:
        super().__init__(billed(currency=currency), [], has_method=has_method)
        self.made.profile(net_days=0)
        self.currency, self.start, self.there = currency, now_of(self.id), identifier("cus")
        self.is_linked = False

    def day(self, day: int) -> None:
        """Go to a day, a little later in it than on those before, unless it is that late; and let the timer look."""
        moment = self.start + DAY * day + MINUTE * day
        if moment > now_of(self.id):
            self.on(moment)
        else:
            self.look()

    def owes(self, amount: str) -> str:
        """Another invoice, overdue by now; its id."""
        known = {each["id"] for each in self.made.invoices()}
        owe(
            self.id,
            item(currency=self.currency, amount=units(amount), due_at=now_of(self.id) - timedelta(seconds=1)),
        )
        self.made.run()
        (new,) = [each for each in self.made.invoices() if each["id"] not in known]
        if new["status"] == "draft":
            assert self.made.act(new["id"], "finalize").status_code == 200
        self.invoices.append(new["id"])
        return str(new["id"])

    def pays(self, invoice: str, amount: str | None = None) -> None:
        """Pay an invoice, or so much of it."""
        due = self.made.reader.get(f"/v1/invoices/{invoice}").json()["due"]
        answer = self.made.pay(invoice, amount or due, currency=self.currency)
        assert answer.status_code == 200, answer.content

    def fails_there(self, currency: str, cents: int, *, invoice: str | None = None) -> str:
        """The processor could not collect so much; its name of the invoice."""
        return self._there(currency, cents, invoice, status="open", paid=0)

    def paid_there(self, currency: str, cents: int, *, invoice: str) -> None:
        """It could, after all."""
        self._there(currency, cents, invoice, status="paid", paid=cents)

    def _there(self, currency: str, cents: int, invoice: str | None, *, status: str, paid: int) -> str:
        if not self.is_linked:
            link = {"customer": self.there, "organization": str(self.id)}
            assert platform().post("/v1/mirrored-customers", link).status_code == 201
            self.is_linked = True
        named, created = invoice or identifier("in"), int(self.start.timestamp())
        view = invoice_view(
            {
                "id": named, "customer": self.there, "number": named, "status": status, "livemode": False,
                "currency": currency.lower(), "total": cents, "amount_paid": paid, "amount_remaining": cents - paid,
                "attempted": True, "created": created, "due_date": None, "next_payment_attempt": None,
                "parent": None, "status_transitions": {"paid_at": created if paid else None}, "lines": {"data": []},
            }
        )  # fmt: skip
        write(lambda cur: apply_invoice(cur, view, author=AUTHOR))
        return named

    def attempts(self) -> list[tuple[str, int, str]]:
        """Every attempt of its newest case, as finance reads it: currency, number and what became of it."""
        if self.state() is None:
            return []
        return [
            (each["currency"], each["attempt"], each["event"])
            for each in self.timeline()
            if each["attempt"] is not None
        ]

    def is_due(self) -> bool:
        """Whether the timer would hand it out; it does not."""
        found = write(lambda cur: organizations_due(cur, limit=10_000, claim=MINUTE, longest=MINUTE))
        return self.id in found

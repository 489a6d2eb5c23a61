"""Customers who pay at the simulator, and what a customer's books come to, whatever ids things have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.builders.books import balances, open_books, rows
from tests.builders.deliveries import now
from tests.builders.payments import asked
from tests.builders.signing import signed
from tests.builders.stripe import SECRET, Simulator

CENT = 10**6


@dataclass(frozen=True)
class Payer:
    """An organization whose payments are made at the simulator, with its customer there."""

    simulator: Simulator
    organization: UUID
    customer: str

    def ask(self, cents: int) -> UUID:
        """A top-up that is asked for, and not made yet."""
        return asked(self.organization, cents * CENT).payment

    def pay(self, cents: int, method: str = "pm_card_visa", *, payment: UUID | None = None) -> Any:
        """The PaymentIntent of a top-up, confirmed; declines are raised by the SDK."""
        named = payment or self.ask(cents)
        return self.simulator.sdk().v1.payment_intents.create(
            {
                "amount": cents,
                "currency": "usd",
                "customer": self.customer,
                "payment_method": method,
                "confirm": True,
                "off_session": True,
                "metadata": {"payment": str(named), "organization": str(self.organization)},
            }
        )


def payer(simulator: Simulator) -> Payer:
    """A customer with books."""
    organization = open_books()
    made = simulator.sdk().v1.customers.create({"metadata": {"organization": str(organization)}})
    return Payer(simulator, organization, made.id)


def listed(simulator: Simulator) -> list[bytes]:
    """The bodies of all events of the simulator, the oldest first."""
    pages = simulator.sdk().v1.events.list({"limit": 100}).auto_paging_iter()
    return [json.dumps(json.loads(str(event)), separators=(",", ":")).encode() for event in pages][::-1]


def header(body: bytes, secret: str = SECRET) -> str:
    """The header of a delivery now."""
    return signed(body, at=now(), secret=secret)


def state(organization: UUID) -> Any:
    """What a customer's money came to: balances, payments, refunds, disputes and effects without any id."""
    return {
        "balances": balances(organization),
        "payments": rows(
            "SELECT status, amount, received, refunded, disputed, credit_back, fee FROM payments"
            " WHERE organization = %s ORDER BY 1, 2, 3, 4, 5, 6, 7",
            organization,
        ),
        "refunds": rows("SELECT amount, status FROM refunds WHERE organization = %s ORDER BY 1, 2", organization),
        "disputes": rows(
            "SELECT amount, status, withdrawn, fee FROM disputes WHERE organization = %s ORDER BY 1, 2, 3", organization
        ),
        "effects": rows(
            "SELECT split_part(source, ':', 1), count(*) FROM effects WHERE organization = %s GROUP BY 1 ORDER BY 1",
            organization,
        ),
    }  # fmt: skip


def effects(organization: UUID) -> int:
    """How many effects a customer's payments had."""
    return int(rows("SELECT count(*) FROM effects WHERE organization = %s", organization)[0][0])

"""A day at the processor that is reconciled: its objects, our books, and what a run says of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.db import connections

from billing.rules.payments.commands import OPEN_STATES
from orgs import PLATFORM_ID
from tests.builders.books import rows
from tests.builders.orgs import write
from tests.builders.processor import CENT, Payer, payer
from tests.builders.stripe import Simulator
from webhooks.operations.inbound.processing import process_due
from webhooks.operations.reconciling.running import reconcile
from webhooks.queries.reconciling.runs import DifferenceRow, Run, list_differences

AT_STRIPE = (
    "customer", "payment", "refund", "dispute", "payout", "subscription", "invoice", "balance_rows", "items",
    "payout_items", "sums", "roll_forward", "bills", "recheck",
)  # fmt: skip
"""The steps that compare with the processor, without the events that would repair some of it first."""


def forget_processor() -> None:
    """The simulator of another test had another balance and other objects: their rows are no evidence here, and what
    another test left to be sent is not sent here."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "TRUNCATE processor_balance_rows, processor_balances, reconciliation_differences, reconciliations"
        )
        cursor.execute("UPDATE stripe_watermarks SET event = NULL, created = NULL, swept_at = NULL")
        cursor.execute(
            "UPDATE outbound_commands SET next_try_at = '9999-01-01T00:00:00Z' WHERE state = ANY(%s)",
            (list(OPEN_STATES),),
        )


@dataclass
class Day:
    """A processor of this test's own, beside books that other tests have written in, too. `before`: what was open
    before anything was planted; none of it is told again."""

    simulator: Simulator
    before: set[str] = field(default_factory=set)
    held: int = 0

    def payer(self) -> Payer:
        """A customer here and there."""
        return payer(self.simulator)

    def run(self, *only: str) -> Run:
        """Reconcile now."""
        return reconcile(only=only or AT_STRIPE)

    def differences(self, outcome: str | None = None) -> list[DifferenceRow]:
        """What was found since the day began, oldest first."""
        found = write(lambda cur: list_differences(cur, outcome=outcome, limit=10_000))
        return [each for each in found if str(each.id) not in self.before][::-1]

    def by_class(self, outcome: str | None = None) -> dict[str, int]:
        """How many differences of each class."""
        counted: dict[str, int] = {}
        for each in self.differences(outcome):
            counted[each.name] = counted.get(each.name, 0) + 1
        return counted

    def now(self) -> datetime:
        """The processor's time."""
        return datetime.fromtimestamp(int(self.simulator.now()), UTC)

    def moved(self) -> tuple[int, int]:
        """What the books say that the processor holds more than when the day began, and what it says, in cents."""
        funds = self.simulator.funds().get("usd", {"available": 0, "pending": 0})
        return (clearing() - self.held) // CENT, funds["available"] + funds["pending"]


def clearing() -> int:
    """What the processor holds in dollars by the books of all organizations, in units."""
    found = rows(
        "SELECT -coalesce(sum(posted), 0) FROM v_balances WHERE account_kind = 'processor_clearing'"
        " AND currency = 'USD'"
    )
    return int(found[0][0])


def suspense(organization: UUID = PLATFORM_ID) -> int:
    """What is in suspense of the platform, in units."""
    found = rows(
        "SELECT coalesce(sum(posted), 0) FROM v_balances WHERE account_kind = 'suspense' AND organization = %s",
        organization,
    )
    return int(found[0][0])


def begin(simulator: Simulator) -> Day:
    """A day that begins with everything of other tests told already."""
    while process_due():
        pass
    forget_processor()
    day = Day(simulator)
    day.run()
    day.before = {str(each.id) for each in day.differences()}
    day.held = clearing()
    return day

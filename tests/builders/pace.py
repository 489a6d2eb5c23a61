"""Agents with a past: a customer whose sandbox clock has gone on, and usage dated into it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from events.operations.advance import advance_subscriber
from spend.operations.velocity.judge import judge_velocity
from spend.projections.minutes import READER
from spend.queries.budgets import business_now
from tests.builders.gate import Customer, body_of, make_customer
from tests.builders.orgs import events_of, write


def clock(customer: Customer) -> datetime:
    """The customer's business clock."""
    return write(lambda cur: business_now(cur, customer.id)).astimezone(UTC)


def read_minutes() -> None:
    """Let the reader of the minutes see everything."""
    while advance_subscriber(name=READER):
        pass


def with_past(days: int = 8, **given: Any) -> Customer:
    """A customer whose agents were made so many days ago, at a quarter past an hour."""
    customer = make_customer(**{"credit": "1000000", "scopes": ("admin", "spend:write"), **given})
    now = clock(customer)
    then = (now + timedelta(days=days)).replace(minute=15, second=20, microsecond=0)
    customer.pass_time(seconds=(then - now).total_seconds())
    return customer


def spend_at(customer: Customer, amount: str, ago: timedelta = timedelta(), **subject: Any) -> None:
    """Usage that occurred so long ago by the customer's clock."""
    at = clock(customer) - ago
    text = at.isoformat().replace("+00:00", "Z")
    body_of(customer.use(amount, subject=subject, occurred_at=text), 201)


def steady(customer: Customer, amount: str, *, days: int = 7, **subject: Any) -> None:
    """So much in every hour of the last days."""
    for hours in range(1, 24 * days + 1):
        spend_at(customer, amount, timedelta(hours=hours), **subject)


def judged() -> int:
    """What the due job finds now."""
    return judge_velocity()


def opened(organization: UUID) -> list[dict[str, Any]]:
    """The incidents that were opened, as their events tell."""
    return [row[4] for row in events_of(organization) if row[0] == "incident.opened"]


def switched(organization: UUID) -> list[dict[str, Any]]:
    """The switches that were set, as their events tell."""
    return [row[4] for row in events_of(organization) if row[0] == "switch.set"]

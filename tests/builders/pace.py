"""Agents with a past: a customer whose sandbox clock has gone on, and usage dated into it."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from events.operations.advance import advance_subscriber
from spend.operations.velocity.judge import judge_organization, judge_velocity
from spend.projections.minutes import READER
from spend.queries.budgets import business_now
from tests.builders.gate import Customer, body_of, make_customer, usage_body
from tests.builders.orgs import events_of, write


def clock(customer: Customer) -> datetime:
    """The customer's business clock."""
    return write(lambda cur: business_now(cur, customer.id)).astimezone(UTC)


def read_minutes() -> None:
    """Let the reader of the minutes see everything that has happened until now.

    It reads what is final, and a transaction of anybody in the cluster may keep it waiting for a while.
    """
    last = _number("SELECT COALESCE(max(seq), 0) FROM events")
    deadline = time.monotonic() + 30
    while _number(f"SELECT COALESCE(max(seq), 0) FROM event_cursors WHERE name = '{READER}'") < last:
        assert time.monotonic() < deadline, "the reader of the minutes is kept waiting"
        if not advance_subscriber(name=READER):
            time.sleep(0.01)


def _number(statement: str) -> int:
    row: Any = write(lambda cur: cur.execute(statement).fetchone())
    return int(row[0])


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


def spend_all(customer: Customer, spent: Iterable[tuple[str, timedelta]]) -> None:
    """Usage, each so long ago, told in one call."""
    now = clock(customer)
    items = [
        usage_body(amount, occurred_at=(now - ago).isoformat().replace("+00:00", "Z"))
        for amount, ago in spent
    ]
    told = body_of(customer.api.post("/v1/usage/batch", {"items": items}), 200)
    assert {item["status"] for item in told["results"]} == {201}


def steady(customer: Customer, amount: str, *, days: int = 7) -> None:
    """So much in every hour of the last days."""
    spend_all(customer, [(amount, timedelta(hours=hours)) for hours in range(1, 24 * days + 1)])


def judged(customer: Customer | None = None) -> int:
    """What the due job finds now, or what it finds with one customer."""
    read_minutes()
    if customer is None:
        return judge_velocity()
    return write(lambda cur: judge_organization(cur, organization=customer.id))


def opened(organization: UUID) -> list[dict[str, Any]]:
    """The incidents that were opened, as their events tell."""
    return [row[4] for row in events_of(organization) if row[0] == "incident.opened"]


def switched(organization: UUID) -> list[dict[str, Any]]:
    """The switches that were set, as their events tell."""
    return [row[4] for row in events_of(organization) if row[0] == "switch.set"]

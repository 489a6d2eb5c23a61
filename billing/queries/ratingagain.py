"""Metered periods as they were billed, rated on other prices of their plans. Reads only, customer by customer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.queries.plans import find_plan, find_version
from billing.queries.ratedlines import BilledPeriod, billed_periods
from billing.queries.tallying import use_of
from billing.rules.meteredlines import PeriodOfUse, rate
from billing.rules.otherfees import RateMetersAgain
from common.errors import NotFound
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor

_CUSTOMERS: Final = """
SELECT o.id, o.name, o.currency, count(*) FROM metered_periods p JOIN organizations o ON o.id = p.organization
WHERE p.invoice_id IS NOT NULL AND p.end_at > %(start)s AND p.end_at <= %(end)s
    AND (o.id = ANY(%(named)s::uuid[]) OR (%(named)s::uuid[] IS NULL AND NOT o.sandbox))
GROUP BY o.id ORDER BY o.id
"""


@dataclass(frozen=True, slots=True)
class MeteredCustomer:
    """A customer of whom so many metered periods that ended in the time were billed."""

    id: UUID
    name: str
    currency: str
    periods: int


@dataclass(slots=True)
class MeteredDifference:
    """What a charge of a plan came to for a customer, in units, as it was billed and as it would be."""

    organization: UUID
    name: str
    currency: str
    plan: str
    charge_key: str
    meter: str
    periods: int = 0
    rerated: int = 0
    charge: int = 0
    other_charge: int = 0


def metered_customers(cur: Cursor, *, question: RateMetersAgain) -> list[MeteredCustomer]:
    """Return whose periods a question is about. Raises NotFound for a plan and an organization that are not there."""
    for plan in sorted({plan for plan, _ in question.charges}):
        find_plan(cur, plan)
    named = None if question.organizations is None else list(set(question.organizations))
    if named is not None:
        statement = "SELECT count(*) FROM organizations WHERE id = ANY(%s::uuid[]) AND NOT is_platform"
        if cur.execute(statement, (named,)).fetchone() != (len(named),):
            raise NotFound("There is no such organization.")
    given = {"start": question.start, "end": question.end, "named": named}
    return [MeteredCustomer(*row) for row in cur.execute(_CUSTOMERS, given).fetchall()]


def metered_differences(customer: MeteredCustomer, *, question: RateMetersAgain) -> list[MeteredDifference]:
    """Return what a customer's metered periods that ended in (from, to] would have come to, a row for each charge of
    each plan. The quantities are those that were billed last; parts of a split period are rated as one, as ever.
    Reads in one transaction and writes nothing. Raises NotFound and NotPriced."""
    return run_in_transaction(partial(_differences, customer=customer, question=question))


def _differences(
    cur: Cursor, *, customer: MeteredCustomer, question: RateMetersAgain
) -> list[MeteredDifference]:
    found: dict[tuple[str, str], MeteredDifference] = {}
    for billed in _billed(cur, customer.id, question.start, question.end):
        plan, key = find_version(cur, billed.row.plan_version).plan_key, billed.row.charge_key
        row = found.setdefault(
            (plan, key),
            MeteredDifference(customer.id, customer.name, customer.currency, plan, key, billed.row.meter),
        )
        period = use_of(cur, billed.row, customer.currency).period
        # whom a contract gave a price of its own the plan's does not reach
        other = None if period.charge.source else question.charges.get((plan, key))
        tried = None if other is None else other.instead_of(period.charge, customer.currency)
        amount = _amount(period, billed, customer.currency)
        row.periods += 1
        row.rerated += tried is not None
        row.charge += amount
        row.other_charge += (
            amount if tried is None else _amount(replace(period, charge=tried), billed, customer.currency)
        )
    return [found[name] for name in sorted(found)]


def _billed(cur: Cursor, organization: UUID, start: datetime, end: datetime) -> Iterator[BilledPeriod]:
    for billed in billed_periods(cur, organization, since=start):
        if start < billed.row.end_at <= end:
            yield billed


def _amount(period: PeriodOfUse, billed: BilledPeriod, currency: str) -> int:
    return rate(period, billed.tally, currency=currency, cut=billed.cut.written()).amount


def written(row: MeteredDifference) -> dict[str, Any]:
    """Return a row as JSON: amounts as decimal texts."""
    return {
        "organization": row.organization,
        "name": row.name,
        "currency": row.currency,
        "plan": row.plan,
        "charge_key": row.charge_key,
        "meter": row.meter,
        "periods": row.periods,
        "rerated": row.rerated,
        "charge": signed(row.charge),
        "other_charge": signed(row.other_charge),
        "difference": signed(row.other_charge - row.charge),
    }


def signed(units: int) -> str:
    """Return an amount of either sign as a decimal text."""
    return f"-{format_amount(-units)}" if units < 0 else format_amount(units)

"""Providers' bills, and what of them our own record of calls says. Pure.

Amounts of a file are rounded once for each day and model, half up, to units of 10^-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from common.errors import InvalidField, InvalidTransition
from common.money import checked_units, round_half_up
from orgs import PLATFORM_ID
from orgs.rules.facts import Fact, time_text
from webhooks.rules.reconciling.billfiles import Statement

IMPORTED, BOOKED = "imported", "booked"
DEFAULT_TOLERANCE_PPM: Final = 10_000
"""One percent: providers round, and bill some things a day late."""
PPM: Final = 1_000_000
AGAINST: Final = ("cash", "provider_payable")
"""How a bill is booked: paid from the bank, or as what is still owed beside our own record (the difference alone)."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a provider billed for a model on a day of UTC, in units."""

    day: date
    model: str
    amount: int


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill's row. `digest` is that of the file, so that it is imported once."""

    id: UUID
    provider: str
    digest: str
    currency: str
    total: int
    first_day: date
    last_day: date
    tolerance_ppm: int
    lines: tuple[Line, ...]
    status: str
    imported_by: str
    created_at: datetime
    booked_against: str | None = None
    booked_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Compared:
    """A day and model: what the provider billed and what our record of calls says, in units."""

    day: date
    model: str
    billed: int
    ours: int

    def is_within(self, tolerance_ppm: int) -> bool:
        """Whether they are the same up to the tolerance, which is a part of the larger one."""
        return abs(self.billed - self.ours) * PPM <= tolerance_ppm * max(abs(self.billed), abs(self.ours))


_TIMES: Final = ("created_at", "booked_at")
_DAYS: Final = ("first_day", "last_day")
_APART: Final = frozenset({"id", "version", "lines", *_TIMES, *_DAYS})
_PLAIN: Final = tuple(field.name for field in fields(Bill) if field.name not in _APART)


def new_bill(statement: Statement, *, tolerance_ppm: int, by: str, now: datetime) -> Bill:
    """Return the bill of a file that was read. Raises InvalidField."""
    if not 0 <= tolerance_ppm <= PPM:
        raise InvalidField("A tolerance is 0 to 1,000,000 parts of a million.", pointer="/tolerance_ppm")
    lines = tuple(Line(day, model, _units(amount)) for (day, model), amount in sorted(statement.sums.items()))
    return Bill(
        id=uuid5(NAMESPACE_OID, f"provider_bill:{statement.digest}"),
        provider=statement.provider,
        digest=statement.digest,
        currency=statement.currency,
        total=checked_units(sum(line.amount for line in lines)),
        first_day=lines[0].day,
        last_day=lines[-1].day,
        tolerance_ppm=tolerance_ppm,
        lines=lines,
        status=IMPORTED,
        imported_by=by,
        created_at=now,
    )


def compared(bill: Bill, ours: Mapping[tuple[date, str], int], beside: Sequence[Bill] = ()) -> list[Compared]:
    """Return every day and model of the bill, and those of its days that only our record has.

    `beside`: other bills of the same days. What they billed is added; what one of them has booked is settled, and left
    out.
    """
    settled = booked_by(beside)
    billed: dict[tuple[date, str], int] = {}
    for each in (bill, *beside):
        for line in each.lines:
            if bill.first_day <= line.day <= bill.last_day:
                billed[line.day, line.model] = billed.get((line.day, line.model), 0) + line.amount
    return [
        Compared(day, model, billed.get((day, model), 0), ours.get((day, model), 0))
        for day, model in sorted({*billed, *ours} - settled)
    ]


def booked_by(beside: Sequence[Bill]) -> set[tuple[date, str]]:
    """Return the days and models that bills which are booked have billed."""
    return {(line.day, line.model) for each in beside if each.status == BOOKED for line in each.lines}


def recorded(bill: Bill, ours: Mapping[tuple[date, str], int], beside: Sequence[Bill] = ()) -> int:
    """Return what our record says of the days and models that a bill is over, in units; what another bill was booked
    against is not taken twice."""
    keys = {(line.day, line.model) for line in bill.lines} - booked_by(beside)
    return sum(amount for key, amount in ours.items() if key in keys)


def booked(bill: Bill, *, against: str, now: datetime) -> Bill:
    """Return the bill as it is booked. Raises InvalidField and InvalidTransition."""
    if against not in AGAINST:
        raise InvalidField("A bill is booked against cash or provider_payable.", pointer="/against")
    if bill.status != IMPORTED:
        raise InvalidTransition("The bill is booked already.")
    return replace(bill, status=BOOKED, booked_against=against, booked_at=now, version=bill.version + 1)


def postings(bill: Bill, *, ours: int) -> dict[str, int]:
    """Return what booking a bill posts in the platform's books, in units by kind of account.

    The difference to our record is cost that we owe, too; with cash the whole of what is owed then is paid. Over all
    organizations `provider_payable` falls by what was billed.
    """
    change = bill.total - ours
    made = {"provider_cost": -change, "provider_payable": change}
    if bill.booked_against == "cash":
        made["provider_payable"] -= bill.total
        made["cash"] = bill.total
    return {kind: amount for kind, amount in made.items() if amount}


def fact(bill: Bill, verb: str, *, at: datetime, ledger: Mapping[str, Any] | None = None) -> Fact:
    """Return what happened to a bill: its whole new row, and the entry beside it."""
    data = {
        **{name: getattr(bill, name) for name in _PLAIN},
        **{name: time_text(getattr(bill, name)) for name in _TIMES},
        **{name: getattr(bill, name).isoformat() for name in _DAYS},
        "lines": [[line.day.isoformat(), line.model, line.amount] for line in bill.lines],
        **({"ledger": dict(ledger)} if ledger else {}),
    }
    return Fact(PLATFORM_ID, "provider_bill", bill.id, bill.version, verb, data, at)


def _units(amount: Decimal) -> int:
    numerator, denominator = amount.as_integer_ratio()
    return checked_units(round_half_up(numerator * 10**8, denominator))


def line_of(values: Sequence[Any]) -> Line:
    """Return a line as events hold it."""
    return Line(date.fromisoformat(values[0]), values[1], int(values[2]))

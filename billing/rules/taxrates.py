"""Entering and ending tax rates. Pure.

A rate is never edited: another one begins on another day, and the end is all of it that changes, ahead only. What an
invoice was taxed with stands on the invoice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.parties import EXEMPT_CODES
from billing.rules.tax import PPM, STANDARD, TaxRate, is_rate_known, packaged_rates
from common.errors import InvalidField, InvalidPeriod, InvalidTransition, ProblemError
from ledger.rules.closing import PeriodClosed
from orgs import PLATFORM_ID
from orgs.rules.facts import Fact, time_text, with_changes
from spend.rules.pricetexts import percent_of_ppm, ppm_of_percent

STREAM: Final = "tax_rate"
MAX_SOURCE: Final = 500


class TaxRateConflict(ProblemError):
    """A rate of this country and tax code begins on this day already: end it, or begin on another day."""

    code = "tax_rate_conflict"
    status = 409
    title = "Tax rate conflict"


@dataclass(frozen=True, slots=True)
class NewTaxRate:
    """A rate as it is entered; as in TaxRate."""

    country: str
    ppm: int | None
    valid_from: date
    source: str
    tax_code: str = STANDARD
    valid_to: date | None = None


def read_percent(value: object, *, pointer: str = "") -> int:
    """Return the millionths of a rate in percent, 0 to 100 with up to 4 decimals. Raises InvalidQuantity and
    InvalidField."""
    try:
        ppm = ppm_of_percent(value, pointer=pointer)
    except InvalidField:  # more than a markup may be
        ppm = PPM + 1
    if ppm > PPM:
        raise InvalidField("A tax rate is at most 100 percent.", pointer=pointer)
    return ppm


def percent_text(rate: TaxRate) -> str | None:
    """Return a rate in percent; None: the country has no such tax."""
    return None if rate.ppm is None else percent_of_ppm(rate.ppm)


def rate_added(
    new: NewTaxRate, *, known: Sequence[TaxRate], closed_until: date | None, rate: UUID, at: datetime
) -> tuple[TaxRate, Fact]:
    """Return the rate that is entered, with the id `rate`, and the fact.

    `known`: all rates of its country. `closed_until`: the first day whose month is open for everybody who charges this
    tax. A day before it is only given a rate where it had none: nothing can have been taxed there. Raises InvalidField,
    InvalidPeriod, TaxRateConflict and PeriodClosed.
    """
    if new.tax_code in EXEMPT_CODES:
        raise InvalidField("Nothing taxes what has this tax code.", pointer="/tax_code")
    if new.valid_to is not None and new.valid_to <= new.valid_from:
        raise InvalidPeriod(pointer="/valid_to")
    made = TaxRate(
        id=rate,
        organization=PLATFORM_ID,
        country=new.country,
        tax_code=new.tax_code,
        ppm=new.ppm,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        source=new.source,
        created_at=at,
        version=1,
    )
    if any(_begin_together(made, one) for one in known):
        raise TaxRateConflict(pointer="/valid_from")
    if closed_until is not None and _changes_before(made, known, closed_until):
        raise PeriodClosed("A rate does not change in a month that is closed.", pointer="/valid_from")
    return made, _fact(made, "added", _data(made), at)


def rate_ended(rate: TaxRate, valid_to: date | None, *, at: datetime) -> tuple[TaxRate, Fact | None]:
    """Return the rate as it holds no longer from `valid_to` on; None: from today on, or never where it begins later.
    No fact when that is its end already. Raises InvalidTransition where it has ended, and InvalidPeriod for an end in
    the past or before its beginning."""
    if rate.valid_to is not None and rate.valid_to == valid_to:
        return rate, None
    if rate.valid_to is not None and rate.valid_to <= max(at.date(), rate.valid_from):
        raise InvalidTransition("This rate has ended already.")
    first = max(at.date(), rate.valid_from)
    end = first if valid_to is None else valid_to
    if end < first:
        raise InvalidPeriod("An end lies neither in the past nor before the beginning.", pointer="/valid_to")
    ended = replace(rate, valid_to=end, version=rate.version + 1)
    return ended, _fact(ended, "ended", with_changes(_data(ended), _data(rate)), at)


def _begin_together(one: TaxRate, other: TaxRate) -> bool:
    """What was ended before it began never held, and is in nobody's way."""
    same = (one.country, one.tax_code, one.valid_from) == (other.country, other.tax_code, other.valid_from)
    return same and other.valid_to != other.valid_from


def _changes_before(made: TaxRate, known: Sequence[TaxRate], until: date) -> bool:
    """Whether something was known to be taxed at a rate on a day that the new one covers before `until`."""
    begins = {one.valid_from for one in known}
    begins |= {since for code in (made.tax_code, STANDARD) for since, _ in packaged_rates(made.country, code)}
    days = [day for day in {made.valid_from, *begins} if day < until and made.covers(day)]
    return any(is_rate_known(made.country, made.tax_code, on=day, entered=known) for day in days)


def _fact(rate: TaxRate, verb: str, data: dict[str, Any], at: datetime) -> Fact:
    return Fact(rate.organization, STREAM, rate.id, rate.version, verb, data, at)


def _data(rate: TaxRate) -> dict[str, Any]:
    return {
        "country": rate.country,
        "tax_code": rate.tax_code,
        "ppm": rate.ppm,
        "valid_from": rate.valid_from.isoformat(),
        "valid_to": None if rate.valid_to is None else rate.valid_to.isoformat(),
        "source": rate.source,
        "created_at": time_text(rate.created_at),
    }

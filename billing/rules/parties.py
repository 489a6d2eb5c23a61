"""Who invoices whom, as it is written into an invoice and stays there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.numbers import TEST_CREDIT_SERIES, TEST_SERIES
from billing.rules.tax import Customer, TaxRate, Treatment
from common.localtime import local_time

NOT_TAXED: Final = "seller_without_tax"
EXEMPT_CODES: Final = frozenset({"exempt", "none"})
"""Tax codes of lines that no treatment taxes."""


@dataclass(frozen=True, slots=True)
class Seller:
    """A legal entity. `country` None: it charges no tax. `series` numbers its invoices, `credit_series` its credit
    notes, both by `pattern`; the year is that of its `zone`."""

    id: UUID
    name: str
    country: str | None
    zone: str
    pattern: str
    series: str
    credit_series: str
    data: Mapping[str, Any]

    def for_sandbox(self) -> Seller:
        """Return it as it numbers what sandboxes try out: in series of their own."""
        return replace(self, series=TEST_SERIES, credit_series=TEST_CREDIT_SERIES)


@dataclass(frozen=True, slots=True)
class Buyer:
    """How a customer is billed. `customer`: as tax rules see it, None while its country is not known; `vat_answer`:
    what the register said of its VAT id. `grace`: from a draft to its number. `cycle_anchor`: a local wall time, None:
    the calendar month. `consolidation`: see `consolidating`. `rates`: what the platform entered for its country."""

    name: str
    customer: Customer | None
    vat_answer: str
    net_days: int
    grace: timedelta
    purchase_order: str | None
    cycle_anchor: datetime | None
    consolidation: str
    data: Mapping[str, Any]
    rates: tuple[TaxRate, ...] = ()


def year_of(seller: Seller, moment: datetime) -> int:
    """Return the year of a moment where the seller is."""
    return local_time(moment, zone=seller.zone).year


def untaxed(seller: Seller, code: str) -> Treatment | None:
    """Return the treatment of a line's tax code that needs no customer: a seller that charges no tax, or a code that is
    exempt. None: it depends on the customer."""
    if seller.country is None:
        return Treatment(Fraction(0), "O", "", NOT_TAXED)
    if code in EXEMPT_CODES:
        return Treatment(Fraction(0), "E", seller.country, code)
    return None

"""Who invoices whom, as it is written into an invoice and stays there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules import tax
from billing.rules.tax import Answer, TaxPending, Treatment
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


@dataclass(frozen=True, slots=True)
class Buyer:
    """How a customer is billed. `answer`: what the register of VAT ids said of its id, None: it was not asked. `grace`:
    from a draft to its number. `cycle_anchor`: a local wall time, None: the calendar month."""

    name: str
    country: str | None
    vat_id: str | None
    exemption_code: str | None
    answer: Answer | None
    net_days: int
    grace: timedelta
    purchase_order: str | None
    cycle_anchor: datetime | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom an invoice is addressed to; personal data, which no event has."""

    name: str
    email: str
    address: Mapping[str, Any]


def year_of(seller: Seller, moment: datetime) -> int:
    """Return the year of a moment where the seller is."""
    return local_time(moment, zone=seller.zone).year


def taxing(seller: Seller, buyer: Buyer, *, on: date) -> Callable[[str], Treatment | TaxPending]:
    """Return how a line's tax code is taxed on a day. What it returns raises TaxRateUnknown.

    A seller that charges no tax, and a code that is exempt, lead to no tax and say so. A customer without a country
    where tax is charged waits: nothing is guessed.
    """

    def treatment(code: str) -> Treatment | TaxPending:
        if seller.country is None:
            return Treatment(Fraction(0), "O", "", NOT_TAXED)
        if code in EXEMPT_CODES:
            return Treatment(Fraction(0), "E", buyer.country or seller.country, code)
        if buyer.country is None:
            return TaxPending("")
        customer = tax.Customer(buyer.country, buyer.vat_id, buyer.exemption_code)
        return tax.tax_treatment(seller.country, customer, answer=buyer.answer, on=on)

    return treatment

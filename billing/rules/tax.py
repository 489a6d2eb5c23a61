"""Value added tax: which treatment a customer gets, and how much tax is on a document.

The treatment is a pure function of supplier, customer and what the register of VAT ids answered. Tax is rounded once
per treatment on a document and spread to its lines (house rule 5). Nothing is guessed: without an answer
or a rate that is needed the document waits.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from billing.rules.rounding import document_step, round_to_document, spread
from billing.rules.vatids import check_vat_id
from common.errors import ProblemError

RATES_FILE: Final = Path(__file__).parent / "data" / "vat_rates.csv"
REDUCED_FILE: Final = Path(__file__).parent / "data" / "vat_reduced_rates.csv"
ROUNDINGS: Final = ("per_rate", "per_line", "exact_total")
REVERSE_CHARGE: Final = "reverse_charge"
OUTSIDE_AREA: Final = "outside_area"
NO_RATE: Final = "no_rate"
TAX_PENDING: Final = "tax_pending"
STANDARD: Final = "standard"
PPM: Final = 1_000_000

Answer = Literal["valid", "invalid", "unavailable"]


class TaxRateUnknown(ProblemError):
    """There is no tax rate for this country and day; nothing is taxed by a guess."""

    code = "tax_rate_unknown"
    status = 422
    title = "Tax rate unknown"


@dataclass(frozen=True, slots=True)
class StandardRate:
    """A country's standard rate from a day on; None: it has no value added tax."""

    area: str
    country: str
    since: date
    rate: Fraction | None


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A rate that the platform entered: what a tax code is taxed with in a country from a day on, `valid_to` not
    included. `ppm`: millionths; None: the country has no such tax. `source`: where that is said."""

    id: UUID
    organization: UUID
    country: str
    tax_code: str
    ppm: int | None
    valid_from: date
    valid_to: date | None
    source: str
    created_at: datetime
    version: int

    @property
    def rate(self) -> Fraction | None:
        """As a share of the net amount."""
        return None if self.ppm is None else Fraction(self.ppm, PPM)

    def covers(self, day: date) -> bool:
        """Whether it holds on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Customer:
    """Where a customer is, the VAT id that it stated, and the code of an exemption that it proved."""

    country: str
    vat_id: str | None = None
    exemption_code: str | None = None


@dataclass(frozen=True, slots=True)
class Treatment:
    """How a line is taxed. `category` is that of EN 16931 (UNCL 5305): S standard, Z at a rate of zero, AE reverse
    charge, E exempt, O outside the scope. Whatever is not taxed says why. `tax_rate`: the entered rate that this is,
    None: it is of the package, or of no rate; lines that differ in it alone are taxed alike.
    """

    rate: Fraction
    category: str
    country: str
    exemption_code: str | None = None
    tax_rate: UUID | None = field(default=None, compare=False)


ROUNDED: Final = Treatment(Fraction(0), "O", "", "rounding")
"""Of the line that brings a total to what can be charged: nothing is supplied, so no tax total names it."""


@dataclass(frozen=True, slots=True)
class TaxPending:
    """The treatment hangs on a VAT id that the register did not answer for: the document waits in `tax_pending`."""

    vat_id: str
    state: Literal["tax_pending"] = TAX_PENDING


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """A line's amount as rounded on the document, net, or gross when prices include tax. `exact` is the amount before
    its rounding; only the roundings for comparison look at it.
    """

    key: str
    amount: int
    treatment: Treatment
    exact: Fraction | None = None


@dataclass(frozen=True, slots=True)
class TaxedLine:
    """A line of a document with its tax."""

    key: str
    net: int
    tax: int
    treatment: Treatment

    @property
    def gross(self) -> int:
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class RateTotal:
    """Base and tax of all lines with one treatment."""

    treatment: Treatment
    base: int
    tax: int


@dataclass(frozen=True, slots=True)
class TaxedDocument:
    """Lines in their order, and totals per treatment in the order of their first line (none of ROUNDED)."""

    lines: tuple[TaxedLine, ...]

    @property
    def rates(self) -> tuple[RateTotal, ...]:
        totals: dict[Treatment, RateTotal] = {}
        for line in (line for line in self.lines if line.treatment != ROUNDED):
            known = totals.get(line.treatment, RateTotal(line.treatment, 0, 0))
            totals[line.treatment] = RateTotal(line.treatment, known.base + line.net, known.tax + line.tax)
        return tuple(totals.values())

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines)

    @property
    def tax(self) -> int:
        return sum(line.tax for line in self.lines)

    @property
    def gross(self) -> int:
        return self.net + self.tax


@lru_cache(maxsize=1)
def standard_rates() -> Mapping[str, tuple[StandardRate, ...]]:
    """Return the seeded table by country, the oldest rate first."""
    table: dict[str, tuple[StandardRate, ...]] = {}
    for row in _rows(RATES_FILE):
        rate = Fraction(row["percent"]) / 100 if row["percent"] else None
        entry = StandardRate(row["area"], row["country"], date.fromisoformat(row["from"]), rate)
        table[entry.country] = (*table.get(entry.country, ()), entry)
    return table


@lru_cache(maxsize=1)
def reduced_rates() -> Mapping[tuple[str, str], tuple[tuple[date, Fraction], ...]]:
    """Return the seeded reduced rates by tax code and country: from which day on which, the oldest first."""
    table: dict[tuple[str, str], tuple[tuple[date, Fraction], ...]] = {}
    for row in _rows(REDUCED_FILE):
        entry = (date.fromisoformat(row["from"]), Fraction(row["percent"]) / 100)
        key = (row["tax_code"], row["country"])
        table[key] = (*table.get(key, ()), entry)
    return table


def _rows(file: Path) -> Iterable[dict[str, str]]:
    """The rows of a table, whose comments begin with #."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return csv.DictReader(line for line in lines if not line.startswith("#"))


def tax_area(country: str) -> str:
    """Return the area of a country: "EU" for its members, itself for every other."""
    rates = standard_rates().get(country)
    return rates[0].area if rates else country


def standard_rate(country: str, *, on: date) -> Fraction | None:
    """Return the package's rate of a country on a day, None where there is no such tax. Raises TaxRateUnknown."""
    return rate_of_code(country, STANDARD, on=on)


def rate_of_code(
    country: str, tax_code: str, *, on: date, entered: Sequence[TaxRate] = ()
) -> Fraction | None:
    """Return the rate of a tax code in a country on a day: its own, else the standard rate. None where there is no
    such tax. Raises TaxRateUnknown.

    Of each, an `entered` rate that covers the day goes before the package's; of several the one that begins last.
    """
    return _found_rate(country, tax_code, on, entered)[0]


def is_rate_known(country: str, tax_code: str, *, on: date, entered: Sequence[TaxRate] = ()) -> bool:
    """Return whether something of this tax code can be taxed in a country on a day."""
    try:
        _found_rate(country, tax_code, on, entered)
    except TaxRateUnknown:
        return False
    return True


def _found_rate(
    country: str, tax_code: str, on: date, entered: Sequence[TaxRate]
) -> tuple[Fraction | None, UUID | None]:
    """The rate, and which entered one it is."""
    for code in (tax_code, STANDARD):
        own = [one for one in entered if (one.country, one.tax_code) == (country, code) and one.covers(on)]
        if own:
            last = max(own, key=lambda one: one.valid_from)
            return last.rate, last.id
        packaged = [rate for since, rate in packaged_rates(country, code) if since <= on]
        if packaged:
            return packaged[-1], None
    raise TaxRateUnknown(f"There is no tax rate of {country} on {on}.")


def packaged_rates(country: str, tax_code: str) -> Sequence[tuple[date, Fraction | None]]:
    """Return the package's rates of a tax code in a country: from which day on which, the oldest first."""
    if tax_code == STANDARD:
        return [(entry.since, entry.rate) for entry in standard_rates().get(country, ())]
    return reduced_rates().get((tax_code, country), ())


def id_to_ask_for(supplier_country: str, customer: Customer) -> str | None:
    """Return the VAT id whose validity decides on the treatment, None when none does.

    It does for a customer in another country of the supplier's area with an id of its own country whose check
    digits are right. An id of another country proves nothing about the customer's.
    """
    if customer.exemption_code or customer.country == supplier_country:
        return None
    if tax_area(customer.country) != tax_area(supplier_country):
        return None
    vat_id = check_vat_id(customer.vat_id)
    return vat_id.text if vat_id is not None and vat_id.country == customer.country else None


def tax_treatment(
    supplier_country: str,
    customer: Customer,
    *,
    answer: Answer | None,
    on: date,
    tax_code: str = STANDARD,
    entered: Sequence[TaxRate] = (),
) -> Treatment | TaxPending:
    """Return how a customer is taxed on a day for something with a tax code.

    `answer` is what the register said about `id_to_ask_for`; None: it was not asked. `entered`: as `rate_of_code` has
    it. Outside the supplier's area there is no tax. Raises TaxRateUnknown.
    """
    country = customer.country
    if tax_area(country) != tax_area(supplier_country):
        return _untaxed("O", country, OUTSIDE_AREA)
    if customer.exemption_code:
        return _untaxed("E", country, customer.exemption_code)
    vat_id = id_to_ask_for(supplier_country, customer)
    if vat_id is not None and answer == "valid":
        return _untaxed("AE", country, REVERSE_CHARGE)
    if vat_id is not None and answer != "invalid":
        return TaxPending(vat_id)
    rate, stated = _found_rate(country, tax_code, on, entered)
    if rate is None:
        return Treatment(Fraction(0), "O", country, NO_RATE, stated)
    return Treatment(rate, "S" if rate else "Z", country, tax_rate=stated)


def tax_document(
    lines: Sequence[TaxableLine], *, currency: str, inclusive: bool = False, rounding: str = "per_rate"
) -> TaxedDocument:
    """Return the document's lines with their tax, which sums to the tax of each rate.

    Exclusive: tax = base x rate on top of the amounts. Inclusive: tax = gross x rate / (1 + rate) out of them.
    `per_rate` rounds once per treatment. For comparison: `per_line` rounds each line's tax, `exact_total` only the
    document's total.
    """
    if rounding not in ROUNDINGS:
        raise ValueError("a rounding is one of ROUNDINGS")
    factors = [_factor(line.treatment.rate, inclusive) for line in lines]
    if rounding == "per_line":
        taxes = [
            round_to_document(_exact(line) * factor, currency=currency)
            for line, factor in zip(lines, factors, strict=True)
        ]
    elif rounding == "exact_total":
        taxes = _taxes_of_the_total(lines, factors, currency, inclusive)
    else:
        taxes = _taxes_per_rate(lines, factors, currency)
    return TaxedDocument(
        tuple(
            TaxedLine(line.key, line.amount - tax if inclusive else line.amount, tax, line.treatment)
            for line, tax in zip(lines, taxes, strict=True)
        )
    )


def _taxes_per_rate(lines: Sequence[TaxableLine], factors: Sequence[Fraction], currency: str) -> list[int]:
    taxes = [0] * len(lines)
    for treatment in dict.fromkeys(line.treatment for line in lines):
        places = [place for place, line in enumerate(lines) if line.treatment == treatment]
        exact = [lines[place].amount * factors[place] for place in places]
        total = round_to_document(sum(exact, Fraction(0)), currency=currency)
        shares = spread(total, exact, step=document_step(currency))
        for place, tax in zip(places, shares, strict=True):
            taxes[place] = tax
    return taxes


def _taxes_of_the_total(
    lines: Sequence[TaxableLine], factors: Sequence[Fraction], currency: str, inclusive: bool
) -> list[int]:
    """The total with tax is rounded, and what the rounded lines leave of it is tax."""
    exact = [_exact(line) * factor for line, factor in zip(lines, factors, strict=True)]
    if inclusive:
        total = round_to_document(sum(exact, Fraction(0)), currency=currency)
    else:
        gross = sum((_exact(line) for line in lines), Fraction(0)) + sum(exact, Fraction(0))
        total = round_to_document(gross, currency=currency) - sum(line.amount for line in lines)
    return list(spread(total, exact, step=document_step(currency)))


def _factor(rate: Fraction, inclusive: bool) -> Fraction:
    return rate / (1 + rate) if inclusive else rate


def _exact(line: TaxableLine) -> Fraction:
    return Fraction(line.amount) if line.exact is None else line.exact


def _untaxed(category: str, country: str, code: str) -> Treatment:
    return Treatment(Fraction(0), category, country, code)

"""From what is owed to a document: lines, discounts, tax, totals. Pure; the preview and the invoice are both made here.

Order (house rule 2): what a line costs was worked out before (usage discount, price, percentage discount of the charge,
allowance, commitment and credit); here come coupons over the lines, then tax over what is left. Amounts are units of
10^-8, on the document at its currency's own precision. What a line's rounding leaves goes to the rounding account, so
that the books hold what was used to the last unit. Where the processor charges no amount as fine as the currency's
coins, the last line brings the total to one that it does (Y4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from billing.rules.amounts import ZERO
from billing.rules.coupons import Coupon, DiscountableLine, Discounted, apply_coupons, step_of
from billing.rules.payments.minor import charged_amount, charged_step
from billing.rules.rounding import round_to_document
from billing.rules.sharing import largest_remainder
from billing.rules.tax import ROUNDED, TaxableLine, TaxedDocument, TaxPending, Treatment, tax_document
from common.money import checked_units, format_document_amount

UNBILLED: Final = "unbilled_receivable"
DEFERRED: Final = "deferred_revenue"
REVENUE: Final = "revenue"
ROUNDING: Final = "rounding"
"""The kind, and the account, of the line that brings a total to what can be charged."""
ACCOUNTS: Final = (UNBILLED, DEFERRED, REVENUE, ROUNDING)
"""Where a line's net comes from: what the gate charged the postpaid line, what is earned later, what is earned now,
and what nobody used or pays a fee for."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What a line is made of. `exact`: units to pay, of use as the books hold them; all else is at the currency's
    precision already. `charge` and `funded` tell of use what it cost and which part of that was paid for before.
    """

    key: str
    kind: str
    description: str
    exact: int
    account: str
    quantity: str | None = None
    charge: int = 0
    funded: Mapping[str, int] = field(default_factory=dict)
    discountable: bool = True
    tax_code: str = "standard"
    service_start: datetime | None = None
    service_end: datetime | None = None
    item: UUID | None = None
    subscription: UUID | None = None
    contract: UUID | None = None
    charge_key: str | None = None
    plan_version: UUID | None = None
    treatment: Treatment | TaxPending | None = None
    """That of the line which it takes back; None: what is asked of its tax code."""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Discount:
    """What a coupon takes off the document in all, in units at the currency's precision."""

    coupon: str
    amount: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the document, from 1: `net` = `amount` - `discount`; `remainder` = `amount` - what the books hold."""

    number: int
    owed: Owed
    amount: int
    discount: int
    tax: int
    treatment: Treatment | None

    @property
    def net(self) -> int:
        """What is to pay without tax."""
        return self.amount - self.discount

    @property
    def account(self) -> str:
        """Where it comes from in the books."""
        return self.owed.account

    @property
    def remainder(self) -> int:
        """What rounding to the document made of it."""
        return self.amount - self.owed.exact


@dataclass(frozen=True, slots=True)
class Tax:
    """Base and tax of all lines with one treatment."""

    treatment: Treatment
    base: int
    tax: int


@dataclass(frozen=True, slots=True)
class Document:
    """Everything that an invoice says about money. `pending`: the tax is not known yet, and none is on it."""

    currency: str
    lines: tuple[Line, ...]
    discounts: tuple[Discount, ...]
    taxes: tuple[Tax, ...]
    pending: bool

    @property
    def subtotal(self) -> int:
        """The lines before discounts."""
        return sum(line.amount for line in self.lines)

    @property
    def discount(self) -> int:
        """What coupons take off."""
        return sum(line.discount for line in self.lines)

    @property
    def net(self) -> int:
        """What is to pay without tax."""
        return self.subtotal - self.discount

    @property
    def tax(self) -> int:
        """The tax on it."""
        return sum(line.tax for line in self.lines)

    @property
    def total(self) -> int:
        """What is to pay."""
        return self.net + self.tax


Taxing = Callable[[str], Treatment | TaxPending]
"""How a tax code is taxed."""


def assemble(
    owed: Sequence[Owed], *, currency: str, taxing: Taxing, coupons: Sequence[Coupon] = ()
) -> Document:
    """This function will return the document over what is owed, its lines in the given order.

    A coupon's targets are keys of lines; it lowers none that is not discountable or not above 0. Raises
    AmountOutOfRange, and what `taxing` raises.
    """
    (document,) = assemble_apart([owed], currency=currency, taxing=taxing, coupons=coupons)
    return document


def assemble_apart(
    parts: Sequence[Sequence[Owed]], *, currency: str, taxing: Taxing, coupons: Sequence[Coupon] = ()
) -> list[Document]:
    """This function will return a document for each part of what is owed, in their order.

    Coupons lower all lines as if they stood on one document, so that every line costs the same however lines are
    parted; tax is rounded once per rate on each document. Raises AmountOutOfRange, and what `taxing` raises.
    """
    priced = [_priced(part, currency) for part in parts]
    amounts = [each for part in priced for each in part]
    open_lines = _discountable(amounts) if coupons else []
    discounted = apply_coupons(open_lines, coupons, currency=currency)
    taken = dict(zip((line.key for line in open_lines), discounted.units, strict=True))
    codes = dict.fromkeys(one.tax_code for one, _ in amounts if one.treatment is None)
    treatments = {code: taxing(code) for code in codes}
    lowered = [line.key for line in open_lines]
    found = []
    for part in priced:
        discounts = _whole(discounted) if len(priced) == 1 else _shared(discounted, lowered, part, currency)
        found.append(_document(part, taken, discounts, treatments, currency))
    return found


def rounding_lines(total: int, *, currency: str, number: int) -> list[Line]:
    """Return the line, with this number, that brings a total (units) to the nearest one that the processor charges,
    half up (Y4): KWD to 0.010, MGA to 1. None where it is one, and where nothing is to pay.

    It goes by the currency alone, however the customer pays: an invoice that was sent may be charged later. It is no
    supply: no tax, no coupon, and the books have it in an account of its own.
    """
    payable = max(total, 0)
    difference = charged_amount(payable, currency=currency) - payable
    if not difference:
        return []
    step = format_document_amount(charged_step(currency), currency=currency)
    explained = {
        "name": ROUNDING,
        "words": "to the nearest amount that can be charged",
        "values": {"total": format_document_amount(total, currency=currency), "step": step},
        "result": format_document_amount(difference, currency=currency),
    }
    owed = Owed(
        key=ROUNDING,
        kind=ROUNDING,
        description=f"Rounding to {step} {currency}",
        exact=difference,
        account=ROUNDING,
        discountable=False,
        tax_code="none",
        treatment=ROUNDED,
        detail={"steps": [explained]},
    )
    return [Line(number, owed, difference, discount=0, tax=0, treatment=ROUNDED)]


def net_amounts(owed: Sequence[Owed], *, currency: str, coupons: Sequence[Coupon]) -> dict[str, int]:
    """Return what each line has to pay after coupons, in units by its key: as its document will say."""
    amounts = _priced(owed, currency)
    open_lines = _discountable(amounts) if coupons else []
    units = apply_coupons(open_lines, coupons, currency=currency).units
    taken = dict(zip((line.key for line in open_lines), units, strict=True))
    return {one.key: amount - taken.get(one.key, 0) for one, amount in amounts}


def _priced(owed: Sequence[Owed], currency: str) -> list[tuple[Owed, int]]:
    return [(one, round_to_document(one.exact, currency=currency)) for one in owed]


def _discountable(amounts: Sequence[tuple[Owed, int]]) -> list[DiscountableLine]:
    """What coupons may lower: a line that another takes back in part, before anybody has paid it, by what is left."""
    back: Counter[str] = Counter()
    for one, amount in amounts:
        if one.discountable and amount < 0 and one.detail.get("credits"):
            back[f"item:{one.detail['credits']}"] -= amount
    found = [(one.key, amount - back[one.key]) for one, amount in amounts if one.discountable]
    return [DiscountableLine(key, amount) for key, amount in found if amount > 0]


def _document(
    amounts: Sequence[tuple[Owed, int]],
    taken: Mapping[str, int],
    discounts: Sequence[Discount],
    treatments: Mapping[str, Treatment | TaxPending],
    currency: str,
) -> Document:
    taxed = _taxed(amounts, taken, treatments, currency)
    lines = [_line(place, one, amount, taken, taxed) for place, (one, amount) in enumerate(amounts)]
    if taxed is not None:
        total = sum(line.net + line.tax for line in lines)
        lines += rounding_lines(total, currency=currency, number=len(lines) + 1)
    document = Document(
        currency,
        tuple(lines),
        tuple(each for each in discounts if each.amount),
        _taxes(taxed),
        taxed is None,
    )
    for figure in (document.subtotal, document.discount, document.total):
        checked_units(figure)
    return document


def _whole(discounted: Discounted) -> list[Discount]:
    return [Discount(each.coupon.code, each.units) for each in discounted.coupons]


def _shared(
    discounted: Discounted, keys: Sequence[str], part: Sequence[tuple[Owed, int]], currency: str
) -> list[Discount]:
    """Each coupon's part of what is taken off one of several documents, which is the sum of its lines'."""
    names = {one.key for one, _ in part}
    places = [place for place, key in enumerate(keys) if key in names]
    step = step_of(currency)
    whole = sum(discounted.units[place] for place in places)
    exact = [sum((each.shares[place] for place in places), ZERO) for each in discounted.coupons]
    units = largest_remainder(whole // step, exact)
    return [
        Discount(each.coupon.code, unit * step) for each, unit in zip(discounted.coupons, units, strict=True)
    ]


def _line(place: int, one: Owed, amount: int, taken: Mapping[str, int], taxed: TaxedDocument | None) -> Line:
    with_tax = None if taxed is None else taxed.lines[place]
    return Line(
        number=place + 1,
        owed=one,
        amount=amount,
        discount=taken.get(one.key, 0),
        tax=0 if with_tax is None else with_tax.tax,
        treatment=None if with_tax is None else with_tax.treatment,
    )


def _taxed(
    amounts: Sequence[tuple[Owed, int]],
    taken: Mapping[str, int],
    treatments: Mapping[str, Treatment | TaxPending],
    currency: str,
) -> TaxedDocument | None:
    lines = []
    for one, amount in amounts:
        treatment = one.treatment or treatments[one.tax_code]
        if isinstance(treatment, TaxPending):
            return None
        lines.append(TaxableLine(one.key, amount - taken.get(one.key, 0), treatment))
    return tax_document(lines, currency=currency)


def _taxes(taxed: TaxedDocument | None) -> tuple[Tax, ...]:
    if taxed is None:
        return ()
    return tuple(Tax(total.treatment, total.base, total.tax) for total in taxed.rates)


def percent_of(rate: Fraction) -> str:
    """Return a tax rate in percent as people write it, such as 20 or 8.1; at most six decimals, cut."""
    scaled = rate.numerator * 100 * 10**6 // rate.denominator
    whole, decimals = divmod(scaled, 10**6)
    return f"{whole}.{decimals:06d}".rstrip("0").rstrip(".")

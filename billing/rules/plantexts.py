"""A plan in words and tables, for people who look at it before they publish it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from billing.rules.amounts import exact_text
from billing.rules.charges.definition import ChargeDefinition, write_charge
from billing.rules.plans import Feature, Interval, PlanCharge, PlanTerms
from common.money import format_amount

_SHOWN_APART: Final = ("model", "tiers", "prices", "included")


@dataclass(frozen=True, slots=True)
class ChargeText:
    """A charge in one currency: its price in words, and its tiers (or prices per model) as a table."""

    charge: PlanCharge
    currency: str
    about: str
    price: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def interval_text(interval: Interval) -> str:
    """Return "month", or "3 months"."""
    return interval.unit if interval.count == 1 else f"{interval.count} {interval.unit}s"


def feature_text(value: Feature) -> str:
    """Return what a feature is, in words."""
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "without limit" if value is None else str(value)


def charge_texts(terms: PlanTerms) -> list[ChargeText]:
    """Return every charge of a plan, currency by currency."""
    return [
        _charge_text(charge, currency, price)
        for charge in terms.charges
        for currency, price in charge.prices.items()
    ]


def credit_texts(terms: PlanTerms) -> list[str]:
    """Return what credit comes with the plan, one sentence each."""
    return [
        f"{format_amount(units)} {currency} every {interval_text(credit.every)}, as {credit.source}"
        + (", what is left stays" if credit.rollover else "")
        for credit in terms.credits
        for currency, units in credit.amounts.items()
    ]


def price_text(price: ChargeDefinition) -> str:
    """Return a price in one line, its tiers (or prices per model) one after another."""
    written = write_charge(price)
    rows = (
        ", ".join(f"{name.replace('_', ' ')} {_cell(value)}" for name, value in row.items())
        for row in _table(written)
    )
    return "; ".join((_price(written), *rows))


def _table(written: dict[str, Any]) -> list[dict[str, Any]]:
    return written.get("tiers") or written.get("prices") or []


def _charge_text(charge: PlanCharge, currency: str, price: ChargeDefinition) -> ChargeText:
    written = write_charge(price)
    table = _table(written)
    columns = tuple(table[0]) if table else ()
    return ChargeText(
        charge=charge,
        currency=currency,
        about=", ".join(_about(charge)),
        price=_price(written),
        columns=tuple(name.replace("_", " ") for name in columns),
        rows=tuple(tuple(_cell(row.get(name)) for name in columns) for row in table),
    )


def _about(charge: PlanCharge) -> list[str]:
    said = [charge.kind.replace("_", " "), f"in {charge.timing}"]
    said += ["add-on"] if charge.addon else []
    said += [f"{exact_text(charge.included)} included"] if charge.included else []
    said += [f"meter {charge.meter}"] if charge.meter else []
    said += [f"by {', '.join(charge.group_by)}"] if charge.group_by else []
    return said + ([] if charge.discountable else ["no coupons"])


def _price(written: dict[str, Any]) -> str:
    rest = [
        f"{name.replace('_', ' ')} {_cell(value)}"
        for name, value in written.items()
        if name not in _SHOWN_APART
    ]
    return ", ".join([str(written["model"]).replace("_", " "), *rest])


def _cell(value: Any) -> str:
    if value is None:
        return "and more"
    if isinstance(value, dict):
        return ", ".join(f"{name} {price}" for name, price in value.items())
    return str(value)

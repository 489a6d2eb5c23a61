"""What an enterprise contract says: its document, read strictly into plain values, and written back (S77).

Every version of a contract is one such document, which never changes. Everything that is wrong with one is told at
once, each with the pointer of its place. Dates are days of the customer's zone, [start, end); amounts are units of
10^-8 at the currency's own precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Final

from billing.rules.commitments import AT_LIST_PRICE, Overage
from billing.rules.contracts.pricing import CustomPrice, read_prices, write_price
from billing.rules.periods import Interval
from billing.rules.plans import Feature, read_features, read_interval, write_features, write_interval
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidPeriod, ProblemError
from common.money import PRICE_SCALE, format_amount, format_price

JsonObject = dict[str, Any]

KINDS: Final = ("prepaid", "postpaid", "minimum")
"""A commitment is invoiced when its window begins, or as it is used, or is only a floor under what is billed."""
WINDOWS: Final = ("week", "month", "quarter", "year", "segment")
ALIGNMENTS: Final = ("anniversary", "calendar")
UNITS: Final = ("tokens", "calls", "tool_calls")
TIMINGS: Final = ("advance", "arrears")
MAX_SEGMENTS: Final = 40
MAX_FEES: Final = 50
MAX_NET_DAYS: Final = 365
MAX_YEARS: Final = 20
MAX_REFERENCE: Final = 100

FIELDS: Final = frozenset(
    "name currency purchase_order net_days term commitment ramp prices fees features".split()
)
_COMMITMENT: Final = frozenset("kind window alignment true_up rollover rollover_cap overage".split())
_FEE: Final = frozenset("key name amount interval timing discountable tax_code".split())


@dataclass(frozen=True, slots=True)
class Commitment:
    """How a commitment works. `window`: over which it is compared with use; `rollover`: what is left stays for the
    next window, at most `rollover_cap` units of it; `overage_unit`: what a rate of overage counts."""

    kind: str
    window: str
    alignment: str = "anniversary"
    true_up: bool = True
    rollover: bool = False
    rollover_cap: int | None = None
    overage: Overage = AT_LIST_PRICE
    overage_unit: str = "tokens"


@dataclass(frozen=True, slots=True)
class Segment:
    """What is committed from a day on until the next segment: units for each window, or for the whole segment where
    the window is the segment."""

    start: date
    amount: int


@dataclass(frozen=True, slots=True)
class ContractFee:
    """A fixed fee for each interval from the start of the term on, in advance or in arrears; units."""

    key: str
    name: str
    amount: int
    interval: Interval
    timing: str = "advance"
    discountable: bool = False
    tax_code: str = "standard"


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """Everything that one version of a contract says."""

    name: str
    currency: str
    start: date
    end: date
    purchase_order: str | None = None
    net_days: int = 30
    commitment: Commitment | None = None
    ramp: tuple[Segment, ...] = ()
    prices: tuple[CustomPrice, ...] = ()
    fees: tuple[ContractFee, ...] = ()
    features: Mapping[str, Feature] = field(default_factory=dict)

    def fee(self, key: str) -> ContractFee | None:
        """Return the fee with this key."""
        return next((fee for fee in self.fees if fee.key == key), None)


def parse_contract(document: Mapping[str, Any], pointer: str = "") -> ContractTerms:
    """Return what a contract's document says.

    `pointer` is where it stands in a request. Raises one error with every wrong place (InvalidField, InvalidText,
    InvalidAmount, InvalidCurrency, InvalidDatetime, InvalidPeriod, UnknownField, ReadOnlyField).
    """
    reader = BodyReader(document, allowed=FIELDS, pointer=pointer)
    currency = reader.required("currency", fields.currency)
    start, end = _term(reader)
    commitment = _commitment(reader, currency)
    terms = ContractTerms(
        name=reader.required("name", fields.text),
        currency=currency,
        start=start,
        end=end,
        purchase_order=reader.optional("purchase_order", fields.text, max_length=MAX_REFERENCE),
        net_days=reader.defaulted("net_days", fields.integer, 30, minimum=0, maximum=MAX_NET_DAYS),
        commitment=commitment,
        ramp=_ramp(reader, commitment is not None, currency, start, end),
        prices=read_prices(reader, start, end),
        fees=_fees(reader, currency),
        features=reader.defaulted("features", read_features, {}),
    )
    reader.check()
    return terms


def write_contract(terms: ContractTerms) -> JsonObject:
    """Return the document of a contract, nothing left out: `parse_contract` reads the same terms from it."""
    return {
        "name": terms.name,
        "currency": terms.currency,
        "purchase_order": terms.purchase_order,
        "net_days": terms.net_days,
        "term": {"start": terms.start.isoformat(), "end": terms.end.isoformat()},
        "commitment": None if terms.commitment is None else _written_commitment(terms.commitment),
        "ramp": [
            {"from": segment.start.isoformat(), "amount": format_amount(segment.amount)}
            for segment in terms.ramp
        ],
        "prices": [write_price(price) for price in terms.prices],
        "fees": [_written_fee(fee) for fee in terms.fees],
        "features": write_features(terms.features),
    }


def _term(reader: BodyReader) -> tuple[date, date]:
    term = reader.required_object("term", allowed={"start", "end"})
    start, end = term.required("start", fields.date), term.required("end", fields.date)
    if start is not None and end is not None:
        if end <= start:
            term.refuse(InvalidPeriod("A term ends after it starts.", pointer=term.pointer("end")))
        elif end.year - start.year > MAX_YEARS:
            detail = f"A term has at most {MAX_YEARS} years."
            term.refuse(InvalidPeriod(detail, pointer=term.pointer("end")))
    return start, end


def _commitment(reader: BodyReader, currency: str) -> Commitment | None:
    found = reader.object("commitment", allowed=_COMMITMENT)
    if found is None:
        return None
    overage, unit = _overage(found)
    made = Commitment(
        kind=found.required("kind", fields.choice, options=KINDS),
        window=found.required("window", fields.choice, options=WINDOWS),
        alignment=found.defaulted("alignment", fields.choice, "anniversary", options=ALIGNMENTS),
        true_up=found.defaulted("true_up", fields.boolean, True),
        rollover=found.defaulted("rollover", fields.boolean, False),
        rollover_cap=_cap(found, currency),
        overage=overage,
        overage_unit=unit,
    )
    _check_commitment(found, made)
    return made


def _cap(found: BodyReader, currency: str) -> int | None:
    if "rollover_cap" not in found:
        return None
    return found.optional("rollover_cap", _maybe_amount, currency=currency)


def _maybe_amount(value: object, *, currency: str | None, pointer: str = "") -> int | None:
    return None if value is None else _amount(value, currency=currency, pointer=pointer)


def _check_commitment(found: BodyReader, made: Commitment) -> None:
    """What only some kinds of commitment have."""
    if made.rollover_cap is not None and not made.rollover:
        detail = "Only what rolls over has a cap."
        found.refuse(InvalidField(detail, pointer=found.pointer("rollover_cap")))
    if made.kind == "minimum":
        for name, given in (("rollover", made.rollover), ("overage", made.overage != AT_LIST_PRICE)):
            if given:
                detail = f"A minimum has no {name}: nothing is drawn from it."
                found.refuse(InvalidField(detail, pointer=found.pointer(name)))
    if made.kind != "postpaid" and not made.true_up:
        detail = "Only a postpaid commitment can do without its true-up."
        found.refuse(InvalidField(detail, pointer=found.pointer("true_up")))


def _overage(found: BodyReader) -> tuple[Overage, str]:
    given = found.object("overage", allowed={"factor", "rate", "unit"})
    if given is None:
        return AT_LIST_PRICE, UNITS[0]
    factor = given.defaulted("factor", _fine, Fraction(1))
    rate = given.optional("rate", _fine)
    unit = given.defaulted("unit", fields.choice, UNITS[0], options=UNITS)
    if "factor" in given and "rate" in given:
        given.refuse(InvalidField("Overage has a factor or a rate.", pointer=given.pointer("rate")))
        return AT_LIST_PRICE, unit
    if "unit" in given and "rate" not in given:
        given.refuse(InvalidField("Only a rate counts a unit.", pointer=given.pointer("unit")))
    return (AT_LIST_PRICE if factor is None else Overage(factor, rate)), unit


def _ramp(
    reader: BodyReader, is_wanted: bool, currency: str, start: date | None, end: date | None
) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    items = list(reader.objects("ramp", allowed={"from", "amount"}, max_items=MAX_SEGMENTS))
    for item in items:
        segment = Segment(
            item.required("from", fields.date), item.required("amount", _amount, currency=currency)
        )
        if segment.start is None or start is None or end is None:
            continue
        if not segments and segment.start != start:
            detail = "The first segment begins with the term."
            item.refuse(InvalidField(detail, pointer=item.pointer("from")))
        if segments and segment.start <= segments[-1].start:
            detail = "Segments begin one after another."
            item.refuse(InvalidField(detail, pointer=item.pointer("from")))
        if segment.start >= end:
            detail = "A segment begins within the term."
            item.refuse(InvalidField(detail, pointer=item.pointer("from")))
        segments.append(segment)
    if is_wanted != bool(items):
        detail = "A commitment says how much it is." if is_wanted else "Only a commitment has a ramp."
        reader.refuse(InvalidField(detail, pointer=reader.pointer("ramp")))
    return tuple(segments)


def _fees(reader: BodyReader, currency: str) -> tuple[ContractFee, ...]:
    found: list[ContractFee] = []
    for item in reader.objects("fees", allowed=_FEE, max_items=MAX_FEES):
        fee = ContractFee(
            key=item.required("key", fields.key),
            name=item.required("name", fields.text),
            amount=item.required("amount", _amount, currency=currency),
            interval=item.required("interval", read_interval),
            timing=item.defaulted("timing", fields.choice, "advance", options=TIMINGS),
            discountable=item.defaulted("discountable", fields.boolean, False),
            tax_code=item.defaulted("tax_code", fields.key, "standard"),
        )
        if fee.key is not None and fee.key in {known.key for known in found}:
            item.refuse(InvalidField("Another fee has this key.", pointer=item.pointer("key")))
        found.append(fee)
    return tuple(found)


def _amount(value: object, *, currency: str | None, pointer: str = "") -> int:
    """An amount at the precision of its currency; where that is wrong, too, any amount."""
    return fields.amount(value, pointer=pointer, currency=currency, document=currency is not None)


def _fine(value: object, *, pointer: str = "") -> Fraction:
    """A factor or a rate, not below 0, as a decimal string. Raises InvalidAmount."""
    return Fraction(fields.price(value, pointer=pointer), PRICE_SCALE)


def _written_commitment(made: Commitment) -> JsonObject:
    cap = made.rollover_cap
    document: JsonObject = {
        "kind": made.kind,
        "window": made.window,
        "alignment": made.alignment,
        "true_up": made.true_up,
        "rollover": made.rollover,
        **({} if cap is None else {"rollover_cap": format_amount(cap)}),
    }
    if made.overage.rate is not None:
        document["overage"] = {"rate": _fine_text(made.overage.rate), "unit": made.overage_unit}
    elif made.overage != AT_LIST_PRICE:
        document["overage"] = {"factor": _fine_text(made.overage.factor)}
    return document


def _written_fee(fee: ContractFee) -> JsonObject:
    return {
        "key": fee.key,
        "name": fee.name,
        "amount": format_amount(fee.amount),
        "interval": write_interval(fee.interval),
        "timing": fee.timing,
        "discountable": fee.discountable,
        "tax_code": fee.tax_code,
    }


def _fine_text(value: Fraction) -> str:
    return format_price(int(value * PRICE_SCALE))


def check_amendment(old: ContractTerms, new: ContractTerms, *, pointer: str = "") -> list[ProblemError]:
    """Return what an amendment may not change: what running windows are cut by. Each error names its place."""
    wrong: list[ProblemError] = []
    if new.currency != old.currency:
        wrong.append(InvalidField("An amendment keeps the currency.", pointer=f"{pointer}/currency"))
    if new.start != old.start:
        wrong.append(InvalidField("An amendment keeps the start.", pointer=f"{pointer}/term/start"))
    if (old.commitment is None) != (new.commitment is None):
        wrong.append(
            InvalidField(
                "An amendment neither adds nor drops the commitment.", pointer=f"{pointer}/commitment"
            )
        )
    elif old.commitment is not None and new.commitment is not None:
        for name in ("kind", "window", "alignment", "rollover"):
            if getattr(old.commitment, name) != getattr(new.commitment, name):
                detail = f"An amendment keeps the commitment's {name}."
                wrong.append(InvalidField(detail, pointer=f"{pointer}/commitment/{name}"))
    return wrong

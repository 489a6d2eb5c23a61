"""What a plan sells: the document of a plan version, read strictly into plain values, and written back.

A version's document never changes once it is published (S71), so whatever is read from one today is read from it in
ten years. Everything that is wrong with a document is told at once, each with the pointer of its place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, cast

from billing.rules.charges.definition import ChargeDefinition, parse_charge, write_charge
from billing.rules.charges.flat import Flat
from billing.rules.charges.formula import INCLUDED
from billing.rules.periods import INTERVAL_UNITS
from billing.rules.periods import Interval as Interval
from billing.rules.recognition import METHODS
from common import fields
from common.bodies import BodyReader
from common.currencies import exponent_of
from common.errors import InvalidAmount, InvalidField, ProblemError
from common.money import QUANTITY_SCALE, format_amount, format_quantity
from common.strictjson import child_pointer

JsonObject = dict[str, Any]
Feature = bool | int | str | tuple[str, ...] | None

MAX_COUNT_OF: Final[Mapping[str, int]] = {"week": 52, "month": 36, "quarter": 12, "year": 5}

KINDS: Final = ("recurring", "licensed", "metered", "one_time")
TIMINGS: Final = ("advance", "arrears")
PRORATIONS: Final = ("per_second", "per_day", "fixed_30")
CHANGES: Final = ("invoice", "prorate", "next_period", "reset")
FEES: Final = ("recurring", "one_time")
"""The kinds that are a flat fee; the others are priced on a quantity."""
SEAT_MODELS: Final = ("per_unit", "graduated", "volume", "package", "blocks")
FUNDINGS: Final = ("organization", "credit_only", "credit_then_invoice")
"""What becomes of use that no credit covers: as the organization has it; the gate stops; it is invoiced."""
AS_ORGANIZATION, CREDIT_ONLY, CREDIT_THEN_INVOICE = FUNDINGS
SOURCES: Final = ("allowance", "credit")

MAX_CURRENCIES: Final = 20
MAX_CHARGES: Final = 100
MAX_CREDITS: Final = 10
MAX_GROUPS: Final = 5
MAX_FEATURES: Final = 100
MAX_TRIAL_DAYS: Final = 730
MAX_GRACE_HOURS: Final = 720
MAX_NET_DAYS: Final = 365
MAX_PRIORITY: Final = 1_000
MAX_FEATURE: Final = 10**12
MAX_NAMES: Final = 100
"""In a feature that is a list."""

_PLAN_FIELDS: Final = frozenset(
    """name interval currencies trial_days proration upgrade downgrade charges credits funding credit_limit features
    credit_blocked_time grace_hours net_days recognition""".split()
)
_CHARGE_FIELDS: Final = frozenset(
    "key name kind timing addon included meter group_by discountable tax_code prices".split()
)
_CREDIT_FIELDS: Final = frozenset("amounts every source rollover priority".split())


@dataclass(frozen=True, slots=True)
class PlanCharge:
    """One price of a plan. `included`: units of a period that a licensed or metered charge does not bill; `meter`: the
    key of what a metered one counts, apart by the fields of `group_by`. `prices`: by currency, one for each of the
    plan's; they hold what is included, too. `source`: whose price it is where it is not the plan's own; no document
    says it."""

    key: str
    name: str
    kind: str
    timing: str
    prices: Mapping[str, ChargeDefinition]
    addon: bool = False
    included: Fraction = Fraction(0)
    meter: str | None = None
    group_by: tuple[str, ...] = ()
    discountable: bool = True
    tax_code: str = "standard"
    source: str | None = None


@dataclass(frozen=True, slots=True)
class PlanCredit:
    """Credit that comes with a plan. `amounts`: units by currency. A whole number of `every` makes the plan's period.
    `rollover`: what is left stays for the next one. `priority`: lower is burnt first among equals."""

    amounts: Mapping[str, int]
    every: Interval
    source: str = "allowance"
    rollover: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a version of a plan sells. `features`: what a subscriber is entitled to; None is without limit.
    `credit_limit`: units by currency, how much of credit_then_invoice an organization may owe that has no line of its
    own. `grace_hours`, `net_days` None: as the customer's billing profile says."""

    name: str
    interval: Interval
    currencies: tuple[str, ...]
    charges: tuple[PlanCharge, ...] = ()
    credits: tuple[PlanCredit, ...] = ()
    features: Mapping[str, Feature] = field(default_factory=dict)
    trial_days: int = 0
    proration: str = "per_second"
    recognition: str = "per_second"
    upgrade: str = "prorate"
    downgrade: str = "next_period"
    funding: str = AS_ORGANIZATION
    credit_limit: Mapping[str, int] | None = None
    credit_blocked_time: bool = False
    grace_hours: int | None = None
    net_days: int | None = None

    def charge(self, key: str) -> PlanCharge | None:
        """Return the charge with this key."""
        return next((charge for charge in self.charges if charge.key == key), None)


def parse_plan(document: Mapping[str, Any], pointer: str = "") -> PlanTerms:
    """Return what a plan's document says; what it leaves out has the defaults of the classes above.

    `pointer` is where the document stands in a request. Raises one error with every wrong place (InvalidField,
    InvalidText, InvalidAmount, InvalidQuantity, InvalidCurrency, UnknownField, ReadOnlyField).
    """
    reader = BodyReader(document, allowed=_PLAN_FIELDS, pointer=pointer)
    currencies = tuple(reader.required("currencies", read_currencies) or ())
    interval = reader.required("interval", read_interval)
    terms = PlanTerms(
        name=reader.required("name", fields.text),
        interval=interval,
        currencies=currencies,
        charges=_charges(reader, currencies),
        credits=_credits(reader, currencies, interval),
        features=reader.defaulted("features", read_features, {}),
        trial_days=reader.defaulted("trial_days", fields.integer, 0, minimum=0, maximum=MAX_TRIAL_DAYS),
        proration=reader.defaulted("proration", fields.choice, "per_second", options=PRORATIONS),
        recognition=reader.defaulted("recognition", fields.choice, "per_second", options=METHODS),
        upgrade=reader.defaulted("upgrade", fields.choice, "prorate", options=CHANGES),
        downgrade=reader.defaulted("downgrade", fields.choice, "next_period", options=CHANGES),
        funding=reader.defaulted("funding", fields.choice, AS_ORGANIZATION, options=FUNDINGS),
        credit_limit=reader.optional("credit_limit", _by_currency, each=fields.amount, currencies=currencies),
        credit_blocked_time=reader.defaulted("credit_blocked_time", fields.boolean, False),
        grace_hours=reader.defaulted("grace_hours", fields.integer, None, minimum=0, maximum=MAX_GRACE_HOURS),
        net_days=reader.defaulted("net_days", fields.integer, None, minimum=0, maximum=MAX_NET_DAYS),
    )
    if terms.credit_limit is not None and terms.funding != CREDIT_THEN_INVOICE:
        detail = "Only what is invoiced after credit has a credit limit."
        reader.refuse(InvalidField(detail, pointer=reader.pointer("credit_limit")))
    reader.check()
    return terms


def read_stored_plan(document: Mapping[str, Any]) -> PlanTerms:
    """Return what a stored document says. Those from before plans had a say in it hold no `credit_limit`; of them
    `credit_only` was the default that moved nothing, so it means what it did: as the organization has it. Raises what
    `parse_plan` raises."""
    terms = parse_plan(document)
    if "credit_limit" in document or terms.funding != CREDIT_ONLY:
        return terms
    return replace(terms, funding=AS_ORGANIZATION)


def write_plan(terms: PlanTerms) -> JsonObject:
    """Return the document of a plan, nothing left out: `parse_plan` reads the same terms from it."""
    return {
        "name": terms.name,
        "interval": write_interval(terms.interval),
        "currencies": list(terms.currencies),
        "trial_days": terms.trial_days,
        "proration": terms.proration,
        "recognition": terms.recognition,
        "upgrade": terms.upgrade,
        "downgrade": terms.downgrade,
        "charges": [_written_charge(charge) for charge in terms.charges],
        "credits": [_written_credit(credit) for credit in terms.credits],
        "funding": terms.funding,
        "credit_limit": _written_limit(terms.credit_limit),
        "features": write_features(terms.features),
        "credit_blocked_time": terms.credit_blocked_time,
        "grace_hours": terms.grace_hours,
        "net_days": terms.net_days,
    }


def read_interval(value: object, *, pointer: str = "") -> Interval:
    """Return an interval such as {"unit": "month", "count": 1}. Raises InvalidField and UnknownField."""
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    reader = BodyReader(value, allowed={"unit", "count"}, pointer=pointer)
    unit = reader.required("unit", fields.choice, options=INTERVAL_UNITS)
    most = MAX_COUNT_OF.get(unit, 1)
    count = reader.defaulted("count", fields.integer, 1, minimum=1, maximum=most)
    reader.check()
    return Interval(unit, count)


def write_interval(interval: Interval) -> JsonObject:
    """Return an interval as JSON."""
    return {"unit": interval.unit, "count": interval.count}


def read_currencies(value: object, *, pointer: str = "") -> tuple[str, ...]:
    """Return a list of distinct currencies, at least one. Raises InvalidField and InvalidCurrency."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CURRENCIES:
        raise InvalidField(f"This is no list of 1 to {MAX_CURRENCIES} currencies.", pointer=pointer)
    found = tuple(
        fields.currency(item, pointer=child_pointer(pointer, place)) for place, item in enumerate(value)
    )
    if len(set(found)) != len(found):
        raise InvalidField("The list names a currency twice.", pointer=pointer)
    return found


def read_features(value: object, *, pointer: str = "") -> dict[str, Feature]:
    """Return features by key: true or false, a whole number, a text, a list of texts, or null for what is without
    limit.

    Raises InvalidField and InvalidText.
    """
    if not isinstance(value, dict) or len(value) > MAX_FEATURES:
        raise InvalidField(f"This is no object of at most {MAX_FEATURES} features.", pointer=pointer)
    return {
        fields.key(name, pointer=child_pointer(pointer, name)): _feature(
            feature, pointer=child_pointer(pointer, name)
        )
        for name, feature in value.items()
    }


def write_features(features: Mapping[str, Feature]) -> JsonObject:
    """Return features as JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in features.items()}


def divides(part: Interval, whole: Interval) -> bool:
    """Whether a whole number of one interval makes the other."""
    if part.months and whole.months:
        return whole.months % part.months == 0
    return part.months == whole.months == 0 and whole.count % part.count == 0


def _charges(reader: BodyReader, currencies: Collection[str]) -> tuple[PlanCharge, ...]:
    charges: list[PlanCharge] = []
    for item in reader.objects("charges", allowed=_CHARGE_FIELDS, max_items=MAX_CHARGES):
        charge = _charge(item, currencies)
        if charge.key is not None and charge.key in {known.key for known in charges}:
            item.refuse(InvalidField("Another charge has this key.", pointer=item.pointer("key")))
        charges.append(charge)
    return tuple(charges)


def _charge(item: BodyReader, currencies: Collection[str]) -> PlanCharge:
    kind = item.required("kind", fields.choice, options=KINDS)
    is_metered = kind == "metered"
    timing = "arrears" if is_metered else "advance"
    charge = PlanCharge(
        key=item.required("key", fields.key),
        name=item.required("name", fields.text),
        kind=kind,
        timing=item.defaulted("timing", fields.choice, timing, options=TIMINGS),
        prices=item.required("prices", _by_currency, each=parse_charge, currencies=currencies),
        addon=item.defaulted("addon", fields.boolean, False),
        included=item.defaulted("included", read_quantity, Fraction(0)),
        meter=item.optional("meter", fields.key),
        group_by=tuple(item.defaulted("group_by", fields.text_list, [], max_items=MAX_GROUPS) or ()),
        discountable=item.defaulted("discountable", fields.boolean, True),
        tax_code=item.defaulted("tax_code", fields.key, "standard"),
    )
    if kind is not None:
        _check_kind(item, charge)
    for currency, price in (charge.prices or {}).items():
        place = child_pointer(item.pointer("prices"), currency)
        for mistake in price_mistakes(charge, price, currency, place, item.pointer("included")):
            item.refuse(mistake)
    return _with_included(charge) if charge.included and charge.prices else charge


def _with_included(charge: PlanCharge) -> PlanCharge:
    """What is included is said once for all currencies, and holds in each."""
    return replace(charge, prices={c: including(p, charge.included) for c, p in charge.prices.items()})


def including(price: ChargeDefinition, units: Fraction) -> ChargeDefinition:
    """Return a price of which so many units of a period are not billed."""
    return replace(price, terms=replace(price.terms, included=units))


def _check_kind(item: BodyReader, charge: PlanCharge) -> None:
    """What only some kinds of charge have."""
    is_metered = charge.kind == "metered"
    if is_metered and charge.timing == "advance":
        item.refuse(InvalidField("What was used is billed in arrears.", pointer=item.pointer("timing")))
    if is_metered and "meter" not in item:
        item.refuse(InvalidField("A metered charge names its meter.", pointer=item.pointer("meter")))
    for name, given in (("meter", charge.meter), ("group_by", charge.group_by)):
        if given and not is_metered:
            item.refuse(InvalidField(f"Only a metered charge has a {name}.", pointer=item.pointer(name)))
    if charge.included and charge.kind in FEES:
        detail = "Only a licensed or a metered charge includes units."
        item.refuse(InvalidField(detail, pointer=item.pointer("included")))


def price_mistakes(
    charge: PlanCharge, price: ChargeDefinition, currency: str, pointer: str, included: str
) -> Iterator[ProblemError]:
    """Yield why a price does not fit its charge: a fee is flat and as fine as its currency, seats and use are priced on
    quantities. `pointer` is where the price stands, `included` where it says what the charge includes."""
    model = price.model
    if charge.kind in FEES and model.kind != "flat":
        yield InvalidField("A fee has the model flat.", pointer=f"{pointer}/model")
    if charge.kind == "licensed" and model.kind not in SEAT_MODELS:
        words = ", ".join(SEAT_MODELS)
        yield InvalidField(f"Seats have one of the models {words}.", pointer=f"{pointer}/model")
    if charge.kind == "metered" and model.kind == "flat":
        yield InvalidField("What is metered is priced on its quantity.", pointer=f"{pointer}/model")
    if price.terms.included:
        detail = "What is included stands beside the prices, for all currencies."
        yield InvalidField(detail, pointer=f"{pointer}/{INCLUDED}")
    if charge.included and charge.kind not in FEES and INCLUDED not in model.options:
        yield InvalidField(f"A charge of model {model.kind} includes no units.", pointer=included)
    if model.kind == "flat" and _is_finer(cast(Flat, model).amount, currency):
        detail = f"A fee in {currency} has {exponent_of(currency)} decimals."
        yield InvalidAmount(detail, pointer=f"{pointer}/amount")


def _credits(reader: BodyReader, currencies: Collection[str], interval: Interval) -> tuple[PlanCredit, ...]:
    return tuple(
        _credit(item, currencies, interval)
        for item in reader.objects("credits", allowed=_CREDIT_FIELDS, max_items=MAX_CREDITS)
    )


def _credit(item: BodyReader, currencies: Collection[str], interval: Interval) -> PlanCredit:
    every = item.defaulted("every", read_interval, interval)
    if every is not None and interval is not None and not divides(every, interval):
        item.refuse(
            InvalidField("Credit comes a whole number of times per period.", pointer=item.pointer("every"))
        )
    return PlanCredit(
        amounts=item.required("amounts", _by_currency, each=fields.amount, currencies=currencies),
        every=every,
        source=item.defaulted("source", fields.choice, "allowance", options=SOURCES),
        rollover=item.defaulted("rollover", fields.boolean, False),
        priority=item.defaulted("priority", fields.integer, 0, minimum=-MAX_PRIORITY, maximum=MAX_PRIORITY),
    )


def _by_currency(
    value: object, *, each: Callable[..., Any], currencies: Collection[str], pointer: str = ""
) -> dict[str, Any]:
    """An object with exactly one member for each of the plan's currencies."""
    if not isinstance(value, dict):
        raise InvalidField("This is no object with a value for each currency.", pointer=pointer)
    reader = BodyReader(value, allowed=currencies, pointer=pointer)
    found = {currency: reader.required(currency, each) for currency in currencies}
    reader.check()
    return found


def _is_finer(amount: Fraction, currency: str) -> bool:
    steps: int = 10 ** exponent_of(currency)
    return (amount * steps).denominator != 1


def read_quantity(value: object, *, pointer: str = "") -> Fraction:
    """Return a quantity of a metered or licensed charge. Raises InvalidQuantity."""
    return Fraction(fields.metered_quantity(value, pointer=pointer), QUANTITY_SCALE)


def _feature(value: object, *, pointer: str) -> Feature:
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        return fields.integer(value, minimum=0, maximum=MAX_FEATURE, pointer=pointer)
    if isinstance(value, list):
        return tuple(sorted(set(fields.text_list(value, max_items=MAX_NAMES, pointer=pointer))))
    return fields.text(value, pointer=pointer)


def _written_charge(charge: PlanCharge) -> JsonObject:
    return {
        "key": charge.key,
        "name": charge.name,
        "kind": charge.kind,
        "timing": charge.timing,
        "addon": charge.addon,
        "included": format_quantity(int(charge.included * QUANTITY_SCALE)),
        "meter": charge.meter,
        "group_by": list(charge.group_by),
        "discountable": charge.discountable,
        "tax_code": charge.tax_code,
        "prices": {c: write_charge(including(p, Fraction(0))) for c, p in charge.prices.items()},
    }


def _written_limit(limit: Mapping[str, int] | None) -> JsonObject | None:
    return None if limit is None else {name: format_amount(units) for name, units in limit.items()}


def _written_credit(credit: PlanCredit) -> JsonObject:
    return {
        "amounts": {currency: format_amount(units) for currency, units in credit.amounts.items()},
        "every": write_interval(credit.every),
        "source": credit.source,
        "rollover": credit.rollover,
        "priority": credit.priority,
    }

"""Usage of a period on another price list, added up by customer and model. Reads only, record by record, in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec

from common.errors import InvalidField, NotFound, ProblemError
from common.ids import new_id
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from spend.queries.prices import load_book_entry, load_organization_pricing, price_versions
from spend.rules.otherprices import OtherPrice, OtherToolPrice, RateAgain
from spend.rules.pricedata import components_of_text
from spend.rules.prices import FxRate, PriceUnknown, PriceVersion, version_at
from spend.rules.rating import OrganizationPricing
from spend.rules.rerating import OtherPrices, RecordedUse, other_tools, rerated
from spend.rules.toolprices import ToolPrice

AT_ONCE: Final = 2_000
MAX_KNOWN: Final = 10_000
"""Names of models, and versions of prices, that are kept at once: callers may name what they like."""
_MARGIN: Final = timedelta(days=1)
_ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CUSTOMERS: Final = """
SELECT o.id, o.name, o.currency, o.clock_offset FROM organizations o
WHERE NOT o.is_platform AND (o.id = ANY(%(named)s::uuid[]) OR (%(named)s::uuid[] IS NULL AND NOT o.sandbox))
    AND EXISTS (SELECT FROM usage_hourly h WHERE h.organization = o.id AND h.hour >= %(first)s AND h.hour < %(end)s)
ORDER BY o.id
"""
_RETIRED: Final = (
    "SELECT max(month + interval '1 month') FROM retired_months WHERE table_name = 'usage_records'"
)
_COUNT: Final = """
SELECT COALESCE(sum(h.calls), 0) FROM usage_hourly h
WHERE h.organization = ANY(%s::uuid[]) AND h.hour >= %s AND h.hour < %s
"""
# A record is written after what it tells of, so none of the period has an id from before it began.
_RECORDS: Final = """
SELECT tool, id, occurred_at, provider, model, cost, charge, currency, price_version, input_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, output_tokens, reasoning_output_tokens,
    COALESCE(detail::text, '{}')
FROM usage_records
WHERE organization = %(organization)s AND id > %(after)s AND recorded_at >= %(recorded_from)s
    AND occurred_at >= %(start)s AND occurred_at < %(end)s AND kind IS DISTINCT FROM 'metered'
ORDER BY id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class CustomerOfPeriod:
    """A customer that used something in the period."""

    id: UUID
    name: str
    currency: str
    clock_offset: timedelta


@dataclass(slots=True)
class Difference:
    """What a customer used of a model or tool: records by what became of them; money in units, as it was and as it
    would be."""

    organization: UUID
    name: str
    currency: str
    provider: str | None
    model: str | None
    tool: str | None = None
    records: int = 0
    rerated: int = 0
    unpriced: int = 0
    unexplained: int = 0
    cost: int = 0
    charge: int = 0
    other_cost: int = 0
    other_charge: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What a question asks for: whose usage, on what, and about how many records that is."""

    customers: list[CustomerOfPeriod]
    prices: OtherPrices
    calls: int


class PeriodIsRetired(ProblemError):
    """Usage records of this period were moved into files: they cannot be rated again."""

    code = "period_retired"
    status = 422
    title = "Period retired"


def prepared(cur: Cursor, *, question: RateAgain) -> Work:
    """Return what a question asks for. Raises NotFound for an organization that is not there, PeriodIsRetired, and what
    `other_prices` raises."""
    start, end = question.start, question.end
    _check_named(cur, question)
    row = cur.execute(_RETIRED).fetchone()
    if row is not None and row[0] is not None and start < row[0].replace(tzinfo=UTC):
        raise PeriodIsRetired
    prices = other_prices(cur, question.prices, question.tools)
    customers = customers_of_period(cur, start=start, end=end, organizations=question.organizations)
    return Work(customers, prices, calls_of_period(cur, start=start, end=end, customers=customers))


def _check_named(cur: Cursor, question: RateAgain) -> None:
    named = {
        *(question.organizations or ()),
        *(one.organization for one in question.prices if one.organization),
        *(one.organization for one in question.tools if one.organization),
    }
    known = cur.execute(
        "SELECT count(*) FROM organizations WHERE id = ANY(%s::uuid[]) AND NOT is_platform", (list(named),)
    ).fetchone()
    if known != (len(named),):
        raise NotFound("There is no such organization.")


def customers_of_period(
    cur: Cursor, *, start: datetime, end: datetime, organizations: Iterable[UUID] | None
) -> list[CustomerOfPeriod]:
    """Return the customers with usage in [start, end): those named, else all that are no sandbox."""
    named = None if organizations is None else list(organizations)
    rows = cur.execute(_CUSTOMERS, {"named": named, **_hours(start, end)}).fetchall()
    return [CustomerOfPeriod(*row) for row in rows]


def calls_of_period(
    cur: Cursor, *, start: datetime, end: datetime, customers: Sequence[CustomerOfPeriod]
) -> int:
    """Return about how many records there are: those of every hour that the period touches."""
    hours = _hours(start, end)
    row = cur.execute(_COUNT, ([one.id for one in customers], hours["first"], hours["end"])).fetchone()
    return 0 if row is None else int(row[0])


def other_prices(
    cur: Cursor, stated: Sequence[OtherPrice], tools: Sequence[OtherToolPrice] = ()
) -> OtherPrices:
    """Return a price list that a person states, by the book's names of its models. Raises PriceUnknown for a model that
    the book does not have, InvalidField for one price twice, InvalidAmount and PriceInvalid."""
    book: dict[tuple[str, str], list[PriceVersion]] = {}
    own: dict[tuple[UUID, str, str], list[PriceVersion]] = {}
    seen: set[tuple[Any, ...]] = set()
    for place, one in enumerate(stated):
        entry = load_book_entry(cur, one.provider, one.model)
        if entry is None:
            raise PriceUnknown("model", provider=one.provider, model=one.model)
        version = _version(cur, one, (entry.provider, entry.model))
        key = (one.organization, entry.provider, entry.model, version.valid_from)
        if key in seen:
            raise InvalidField("This price is stated twice.", pointer=f"/prices/{place}")
        seen.add(key)
        if one.organization is None:
            book.setdefault((entry.provider, entry.model), []).append(version)
        else:
            own.setdefault((one.organization, entry.provider, entry.model), []).append(version)
    return OtherPrices(book, own, _tool_prices(cur, tools))


def _tool_prices(cur: Cursor, stated: Sequence[OtherToolPrice]) -> tuple[ToolPrice, ...]:
    found: dict[tuple[UUID | None, str, datetime], ToolPrice] = {}
    for place, one in enumerate(stated):
        currency = one.currency or _currency(cur, one.organization)
        begin = one.valid_from or _ZERO
        price = ToolPrice(
            new_id(),
            one.pattern,
            one.unit,
            one.amount,
            currency,
            begin,
            one.valid_to,
            one.per,
            one.organization,
        )
        if (one.organization, one.pattern, begin) in found:
            raise InvalidField("This price is stated twice.", pointer=f"/tools/{place}")
        found[one.organization, one.pattern, begin] = price
    return tuple(found.values())


def differences(
    customer: CustomerOfPeriod, prices: OtherPrices, *, start: datetime, end: datetime, at_once: int = AT_ONCE
) -> list[Difference]:
    """Return what a customer's usage of [start, end), by the time of its use, would have cost on other prices, a row
    for each model and tool as the records name it, in the order of the names.

    Records are read in pieces, each in a transaction of its own, and nothing is written; memory holds one piece and
    the rows. What was used of meters, and what a caller priced itself, stays as it is.
    """
    reader = run_in_transaction(partial(_Reader, customer=customer, prices=prices))
    found: dict[tuple[str | None, ...], Difference] = {}
    for tool, use in _records(customer, start=start, end=end, at_once=at_once):
        name = (use.provider, use.model, tool)
        row = found.setdefault(name, Difference(customer.id, customer.name, customer.currency, *name))
        made = reader.rerated(use)
        row.records += 1
        row.rerated += made.verdict == "rerated"
        row.unpriced += made.verdict == "unpriced"
        row.unexplained += made.verdict == "unexplained"
        row.cost += use.cost
        row.charge += use.charge
        row.other_cost += made.cost
        row.other_charge += made.charge
    return [found[name] for name in sorted(found, key=lambda name: [part or "" for part in name])]


def written(row: Difference) -> dict[str, Any]:
    """Return a row as JSON: amounts as decimal texts."""
    return {
        "organization": row.organization,
        "name": row.name,
        "currency": row.currency,
        "provider": row.provider,
        "model": row.model,
        "tool": row.tool,
        "records": row.records,
        "rerated": row.rerated,
        "unpriced": row.unpriced,
        "unexplained": row.unexplained,
        "cost": format_amount(row.cost),
        "other_cost": format_amount(row.other_cost),
        "charge": format_amount(row.charge),
        "other_charge": format_amount(row.other_charge),
        "difference": signed(row.other_charge - row.charge),
    }


def signed(units: int) -> str:
    """Return an amount of either sign as a decimal text."""
    return f"-{format_amount(-units)}" if units < 0 else format_amount(units)


class _Reader:
    """What the records of a customer are rated with: its exchange rates, names of models, and versions of prices."""

    def __init__(self, cur: Cursor, *, customer: CustomerOfPeriod, prices: OtherPrices) -> None:
        self._customer, self._prices = customer, prices
        self._pricing: OrganizationPricing = load_organization_pricing(cur, customer.id, customer.currency)
        self._names: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._versions: dict[UUID, PriceVersion | None] = {}
        self._tools = [one for one in prices.tools if one.organization in (None, customer.id)]

    def rerated(self, use: RecordedUse) -> Any:
        """What becomes of a record."""
        name = self._name(use.provider, use.model)
        book, own = (
            (None, None) if name is None else self._prices.of(self._customer.id, name, use.occurred_at)
        )
        pricing = self._pricing
        tools = other_tools(use, self._tools, book=pricing.book_tools, own=pricing.own_tools)
        if book is None and own is None and not tools.book and not tools.own:
            return rerated(use, book=None, own=None, recorded_book=None, recorded_own=None, fx={})
        recorded = self._version(use.price_version)
        return rerated(
            use,
            book=book,
            own=own,
            recorded_book=self._version(use.cost_version),
            recorded_own=recorded if recorded is not None and recorded.kind != "book" else None,
            fx=self._rates(use.occurred_at),
            tools=tools,
        )

    def _rates(self, at: datetime) -> dict[str, FxRate]:
        found = {base: version_at(rates, at) for base, rates in self._pricing.fx.items()}
        return {base: one for base, one in found.items() if one is not None}

    def _name(self, provider: str | None, model: str | None) -> tuple[str, str] | None:
        if provider is None or model is None:
            return None
        key = (provider, model)
        if key not in self._names:
            entry = run_in_transaction(partial(load_book_entry, provider=provider, model=model))
            _forget(self._names)
            self._names[key] = None if entry is None else (entry.provider, entry.model)
        return self._names[key]

    def _version(self, version: UUID | None) -> PriceVersion | None:
        if version is None:
            return None
        if version not in self._versions:
            found = run_in_transaction(partial(price_versions, ids=[version]))
            _forget(self._versions)
            self._versions[version] = found.get(version)
        return self._versions[version]


def _forget(known: dict[Any, Any]) -> None:
    if len(known) >= MAX_KNOWN:
        known.clear()


def _records(
    customer: CustomerOfPeriod, *, start: datetime, end: datetime, at_once: int
) -> Iterator[tuple[str | None, RecordedUse]]:
    recorded_from = max(start - customer.clock_offset - _MARGIN, _ZERO)
    milliseconds = (recorded_from - _ZERO) // timedelta(milliseconds=1)
    given: dict[str, Any] = {
        "organization": customer.id, "after": UUID(int=milliseconds << 80), "recorded_from": recorded_from,
        "start": start, "end": end, "limit": at_once,
    }  # fmt: skip
    while True:
        rows = run_in_transaction(lambda cur: cur.execute(_RECORDS, given).fetchall())
        for row in rows:
            values = (*row[1:-1], msgspec.json.decode(row[-1]))
            yield row[0], RecordedUse(*values)
        if len(rows) < at_once:
            return
        given["after"] = rows[-1][1]


def _version(cur: Cursor, one: OtherPrice, name: tuple[str, str]) -> PriceVersion:
    return PriceVersion(
        id=new_id(),
        provider=name[0],
        model=name[1],
        currency=one.currency or _currency(cur, one.organization),
        components=components_of_text(one.components),
        valid_from=one.valid_from or _ZERO,
        valid_to=one.valid_to,
        kind="book" if one.organization is None else "override",
        organization=one.organization,
    )


def _currency(cur: Cursor, organization: UUID | None) -> str:
    row = cur.execute(
        "SELECT currency FROM organizations WHERE id = %s", (organization or PLATFORM_ID,)
    ).fetchone()
    return row[0] if row else "USD"


def _hours(start: datetime, end: datetime) -> dict[str, datetime]:
    return {"first": start.replace(minute=0, second=0, microsecond=0), "end": end}

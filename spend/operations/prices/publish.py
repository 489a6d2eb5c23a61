"""Publishing prices: of the book, of one organization, of tools. A price is never changed; a later one takes
over.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from common.currencies import parse_currency
from common.errors import InvalidField
from events.store import Cursor, Event, append
from spend.operations.prices.records import Author, JsonObject, author, period, utc_text
from spend.queries.prices import load_book_entry
from spend.rules.modelnames import NAME_LENGTH, provider_name
from spend.rules.pricedata import components_data, components_of_text, price_of_text
from spend.rules.prices import TOKEN_COMPONENTS, Components, PriceInvalid, PriceUnknown, price_at
from spend.rules.toolprices import ToolPrice, ToolUnit

OWN_KINDS = ("plan", "override", "contract")
MANUAL = "manual"
MAX_PER = 2**31 - 1

LAST_POSITION = "SELECT COALESCE(max(position), -1) FROM price_models"
LISTED = "SELECT 1 FROM price_models WHERE provider = %s AND lower(model) = lower(%s)"


def publish_price(
    cur: Cursor,
    *,
    actor: str,
    provider: str,
    model: str,
    components: Mapping[str, Any],
    currency: str = "USD",
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    context_window: int | None = None,
    max_output_tokens: int | None = None,
    key: str | None = None,
) -> UUID:
    """This function will publish a version of a model's price in the book, and list the model if it is new.

    `components` are decimal strings by component (see rules.pricedata.components_of_text), per million for
    tokens and per one for everything else unless they say so. It holds from valid_from (default: now).
    Returns the version's id. Raises InvalidAmount, InvalidCurrency, InvalidField, InvalidPeriod and
    PriceInvalid. Upholds S22: stored records keep the version they were rated with.
    """
    prices = components_of_text(components)
    name = _model_name(provider, model)

    by = author(cur, organization=None, actor=actor, key=key)
    price = _price_event(by, "book", name, prices, currency, period(valid_from, valid_to, by.now))
    events = [*_listing(cur, by, name, context_window, max_output_tokens), price]
    append(cur, events)
    return UUID(str(price.stream_id))


def publish_own_price(
    cur: Cursor,
    *,
    actor: str,
    organization: UUID,
    provider: str,
    model: str,
    components: Mapping[str, Any],
    kind: str = "override",
    currency: str | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    source: str = MANUAL,
    key: str | None = None,
) -> UUID:
    """This function will publish an organization's own price of a model for a period: what it is charged then
    (S78).

    `kind` is plan, override or contract; a contract's comes before an override's before a plan's. The cost
    stays the book's. A price that names tokens states all that the book prices, at least input and output.
    Currency: the organization's unless given. Returns the version's id. Raises PriceUnknown for a model that
    the book does not have, and what publish_price raises.
    """
    prices = components_of_text(components)
    if kind not in OWN_KINDS:
        raise InvalidField("kind is plan, override or contract.", pointer="/kind")

    by = author(cur, organization=organization, actor=actor, key=key)
    entry = load_book_entry(cur, provider, model)
    book = price_at(entry.versions, by.now) if entry is not None else None
    if entry is None or book is None:
        raise PriceUnknown("model", provider=provider, model=model)
    _check_complete(prices, book.components)
    valid = period(valid_from, valid_to, by.now)
    price = _price_event(by, kind, (entry.provider, entry.model), prices, currency, valid, source)
    append(cur, [price])
    return UUID(str(price.stream_id))


def publish_tool_price(
    cur: Cursor,
    *,
    actor: str,
    pattern: str,
    amount: str,
    unit: str = "call",
    per: int = 1,
    currency: str | None = None,
    organization: UUID | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    key: str | None = None,
) -> UUID:
    """This function will publish the price of a tool: in the book, or for one organization what it is
    charged.

    `pattern` is an exact name, a prefix ending in `*`, or `*` for every other tool; `amount` a decimal string
    for each `per` calls, seconds or units. Returns the price's id. Raises InvalidAmount, InvalidCurrency,
    InvalidField, InvalidPeriod and PriceInvalid.
    """
    if unit not in ("call", "second", "unit"):
        raise InvalidField("unit is call, second or unit.", pointer="/unit")
    if type(per) is not int or not 0 < per <= MAX_PER:
        raise InvalidField("per is a whole number from 1.", pointer="/per")
    price = price_of_text(amount)

    by = author(cur, organization=organization, actor=actor, key=key)
    data: JsonObject = {
        "pattern": pattern,
        "unit": unit,
        "amount": price,
        "per": per,
        "currency": parse_currency(currency or by.currency),
        **period(valid_from, valid_to, by.now),
        "source": MANUAL,
        "published_at": utc_text(by.now),
    }
    event = by.event("tool_price", "published", data)
    # Its constructor knows what a tool price must be.
    ToolPrice(event.stream_id, pattern, cast(ToolUnit, unit), price, by.currency, by.now, per=per)
    append(cur, [event])
    return UUID(str(event.stream_id))


def _model_name(provider: str, model: str) -> tuple[str, str]:
    name = provider_name(provider)
    if not name or not model or max(len(name), len(model)) > NAME_LENGTH:
        raise InvalidField(
            f"A provider's and a model's name have 1 to {NAME_LENGTH} characters.", pointer="/model"
        )
    return name, model


def _price_event(
    by: Author,
    kind: str,
    name: tuple[str, str],
    prices: Components,
    currency: str | None,
    valid: Mapping[str, str | None],
    source: str = MANUAL,
) -> Event:
    data: JsonObject = {
        "kind": kind,
        "provider": name[0],
        "model": name[1],
        "currency": parse_currency(currency or by.currency),
        "components": components_data(prices),
        "variants": [],
        **valid,
        "source": source,
        "source_version": "",
        "approved_by": by.actor,
        "published_at": utc_text(by.now),
    }
    return by.event("price", "published", data)


def _listing(
    cur: Cursor, by: Author, name: tuple[str, str], context_window: int | None, max_output_tokens: int | None
) -> Sequence[Event]:
    if cur.execute(LISTED, name).fetchone() is not None:
        return ()
    position = cur.execute(LAST_POSITION).fetchone()
    data: JsonObject = {
        "provider": name[0],
        "model": name[1],
        "position": (position[0] if position is not None else -1) + 1,
        "match": None,
        "context_window": context_window,
        "max_output_tokens": max_output_tokens,
        "deprecated": False,
        "source": MANUAL,
        "source_version": "",
        "source_digest": None,
    }
    return (by.event("price_model", "listed", data),)


def _check_complete(own: Components, book: Components) -> None:
    """An own price replaces the book's for all tokens, so it must say what each direction costs."""
    if not any(name in TOKEN_COMPONENTS for name in own):
        return
    missing = [name for name in ("input", "output") if name in book and name not in own]
    if missing:
        raise PriceInvalid(f"A price of tokens states {' and '.join(missing)}, too.", pointer="/components")

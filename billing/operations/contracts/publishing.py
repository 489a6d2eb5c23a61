"""A contract's prices in the price book, for its customer and in their dated window: by spend's own operations (S78).

They are written when the contract is activated, amended or terminated, never at a boundary: so the gate charges them
from their first instant to their last, whether the billing run is on time or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.contracts.pricing import CHARGE, CustomPrice
from billing.rules.contracts.row import Contract, Published, midnight
from billing.rules.contracts.terms import ContractTerms
from common.errors import FieldError, ProblemError
from events.store import Cursor
from orgs.operations.facts import Author
from spend.operations.prices.ending import end_markup, end_price, end_tool_price
from spend.operations.prices.publish import publish_own_price, publish_tool_price
from spend.operations.prices.rates import set_markup
from spend.rules.pricedata import digest
from spend.rules.pricetexts import ppm_of_percent

CONTRACT: Final = "contract"
_END: Final[dict[str, Callable[..., None]]] = {
    "model": end_price,
    "tool": end_tool_price,
    "markup": end_markup,
}


def publish_prices(cur: Cursor, row: Contract, *, author: Author) -> tuple[Published, ...]:
    """This function will publish all prices of a contract that begins, and return them.

    Raises PriceUnknown for a model that the book does not have, and PriceInvalid; each names its place.
    """
    return tuple(_publish(cur, row, place, price, None, author) for place, price in _of_the_book(row.terms))


def replace_prices(
    cur: Cursor, row: Contract, terms: ContractTerms, at: datetime, *, author: Author
) -> tuple[Published, ...]:
    """This function will bring what is published to the prices of other terms from `at` on, and return them: what they
    state as before stays, all else ends then. It raises what `publish_prices` raises."""
    wanted = [(place, price) for place, price in _of_the_book(terms) if midnight(price.end, row.zone) > at]
    kept = []
    for old in row.prices:
        if old.end <= at:
            kept.append(old)
            continue
        same = _same(old, wanted, at, row.zone)
        if same is None:
            kept.append(_end(cur, row, old, max(at, old.start), author))
        else:
            wanted.remove(same)
            kept.append(_end(cur, row, old, midnight(same[1].end, row.zone), author))
    made = [_publish(cur, row, place, price, at, author) for place, price in wanted]
    return (*(each for each in kept if each.start < each.end), *made)


def end_prices(
    cur: Cursor, row: Contract, at: datetime | None, *, now: datetime, author: Author
) -> tuple[Published, ...]:
    """This function will end everything that is published at an instant (None: now), and return it."""
    found = []
    for old in row.prices:
        if old.end <= (at or now):
            found.append(old)
        else:
            found.append(_end(cur, row, old, None if at is None else max(at, old.start), author, now=now))
    return tuple(each for each in found if each.start < each.end)


def _of_the_book(terms: ContractTerms) -> list[tuple[int, CustomPrice]]:
    """The prices that the gate charges, with their places; those of plans' charges the billing run takes."""
    return [(place, price) for place, price in enumerate(terms.prices) if price.kind != CHARGE]


def _same(
    old: Published, wanted: Sequence[tuple[int, CustomPrice]], at: datetime, zone: str
) -> tuple[int, CustomPrice] | None:
    """The wanted price that goes on as it is published, whenever it ends."""
    for place, price in wanted:
        if (
            digest_of(price) == old.digest
            and midnight(price.start, zone) <= max(old.start, at)
            and (old.start <= max(midnight(price.start, zone), at))
        ):
            return place, price
    return None


def _end(
    cur: Cursor,
    row: Contract,
    old: Published,
    end: datetime | None,
    author: Author,
    *,
    now: datetime | None = None,
) -> Published:
    """End a published price then, or (None) as soon as it can end: the clock has moved on since `now`."""
    if end == old.end:
        return old
    name = {"model": "price", "tool": "price", "markup": "markup"}[old.kind]
    _END[old.kind](
        cur,
        actor=author.actor,
        organization=row.organization,
        valid_to=end,
        key=author.idempotency_key,
        **{name: old.id},
    )
    return replace(old, end=max(end or now or old.start, old.start))


def _publish(
    cur: Cursor, row: Contract, place: int, price: CustomPrice, since: datetime | None, author: Author
) -> Published:
    start, end = midnight(price.start, row.zone), midnight(price.end, row.zone)
    start = start if since is None else max(start, since)
    common: dict[str, Any] = {
        "actor": author.actor,
        "organization": row.organization,
        "valid_from": start,
        "valid_to": end,
        "key": author.idempotency_key,
    }
    try:
        identifier = _PUBLISH[price.kind](cur, row, price, common)
    except ProblemError as error:
        error.errors = [FieldError(f"/definition/prices/{place}", error.code, error.detail)]
        raise
    return Published(identifier, price.kind, digest_of(price), start, end)


def _model(cur: Cursor, row: Contract, price: CustomPrice, common: dict[str, Any]) -> UUID:
    return publish_own_price(
        cur, kind=CONTRACT, currency=row.currency, source=f"contract:{row.id}", **price.given, **common
    )


def _tool(cur: Cursor, row: Contract, price: CustomPrice, common: dict[str, Any]) -> UUID:
    given = dict(price.given)
    return publish_tool_price(cur, pattern=given.pop("tool"), currency=row.currency, **given, **common)


def _markup(cur: Cursor, row: Contract, price: CustomPrice, common: dict[str, Any]) -> UUID:
    ppm = ppm_of_percent(price.given["markup_percent"])
    return set_markup(cur, ppm=ppm, reason=f"contract:{row.id}", **common)


_PUBLISH: Final[dict[str, Callable[[Cursor, Contract, CustomPrice, dict[str, Any]], UUID]]] = {
    "model": _model,
    "tool": _tool,
    "markup": _markup,
}


def digest_of(price: CustomPrice) -> str:
    """Return what tells whether two prices say the same."""
    return digest({"kind": price.kind, **price.given})

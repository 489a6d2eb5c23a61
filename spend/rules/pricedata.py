"""Prices as JSON: in events, in rows, and as a person enters them (decimal strings)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from common.errors import InvalidAmount
from common.money import MAX_COUNT, MAX_UNITS, parse_price
from spend.rules.modelnames import NAME_LENGTH
from spend.rules.prices import (
    TOKEN_COMPONENTS,
    TOKENS_PER_MILLION,
    ComponentPrice,
    Components,
    PriceInvalid,
    PriceVariant,
    PriceVersion,
)

JsonObject = dict[str, Any]

TOKEN_UNITS = (1, 1_000, TOKENS_PER_MILLION)


def component_data(price: ComponentPrice) -> JsonObject:
    """Return a component's price as JSON; what is empty is left out."""
    data: JsonObject = {"amount": price.amount, "per": price.per}
    if price.tiers:
        data["tiers"] = [list(tier) for tier in price.tiers]
    if price.source_text is not None:
        data["source_text"] = price.source_text
    return data


def components_data(components: Components) -> JsonObject:
    """Return components as JSON, by name."""
    return {name: component_data(price) for name, price in sorted(components.items())}


def variants_data(variants: Iterable[PriceVariant]) -> list[JsonObject]:
    """Return the variants as JSON, in their order."""
    return [{"when": dict(v.when), "components": components_data(v.components)} for v in variants]


def components_of(data: Mapping[str, Any]) -> Components:
    """Return the components of a stored price."""
    return {
        name: ComponentPrice(
            amount=value["amount"],
            per=value["per"],
            tiers=tuple((above, amount) for above, amount in value.get("tiers", ())),
            source_text=value.get("source_text"),
        )
        for name, value in data.items()
    }


def variants_of(data: Iterable[Mapping[str, Any]]) -> tuple[PriceVariant, ...]:
    """Return the variants of a stored price."""
    return tuple(
        PriceVariant(tuple(sorted(item["when"].items())), components_of(item["components"])) for item in data
    )


def components_of_text(prices: Mapping[str, Any]) -> Components:
    """Return components from decimal strings, as a person or a plan states them.

    {"input": "3"} is 3 per million for tokens and per one for everything else;
    {"input": {"amount": "3", "per": 1000000, "tiers": [[200000, "6"]]}} says it all.
    Raises InvalidAmount and PriceInvalid.
    """
    if not prices:
        raise PriceInvalid("A price has at least one component.")
    return {name: _component_of_text(name, value) for name, value in prices.items()}


def json_value(text: str | None) -> Any:
    """Return the value of a JSON column read as text: drivers differ in whether they decode it themselves."""
    return None if text is None else msgspec.json.decode(text)


def digest(value: Any) -> str:
    """Return a digest of a JSON value, by which two sources are told apart."""
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:32]


def instant(text: str | datetime | None) -> datetime | None:
    """Return a time of an event's data, where it is text in UTC."""
    return datetime.fromisoformat(text) if isinstance(text, str) else text


def version_of(data: Mapping[str, Any], *, version_id: UUID, organization: UUID | None) -> PriceVersion:
    """Return the price version of an event's or a row's data."""
    valid_from = instant(data["valid_from"])
    if valid_from is None:
        raise PriceInvalid("A price has a beginning.")
    daily_from = data.get("daily_from")
    return PriceVersion(
        id=version_id,
        provider=data["provider"],
        model=data["model"],
        currency=data["currency"],
        components=components_of(data["components"]),
        valid_from=valid_from,
        valid_to=instant(data.get("valid_to")),
        kind=data["kind"],
        organization=organization,
        variants=variants_of(data.get("variants") or ()),
        daily=None if daily_from is None else (daily_from, data["daily_to"]),
        source=data.get("source", ""),
        source_version=data.get("source_version", ""),
    )


def _component_of_text(name: str, value: Any) -> ComponentPrice:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise PriceInvalid(f"A component's name has 1 to {NAME_LENGTH} characters.", pointer="/components")
    stated = value if isinstance(value, Mapping) else {"amount": value}
    if not stated.keys() <= {"amount", "per", "tiers"}:
        raise PriceInvalid(f"A price has amount, per and tiers: {name}.", pointer="/components")
    per = stated.get("per", TOKENS_PER_MILLION if name in TOKEN_COMPONENTS else 1)
    tiers = tuple((_whole(above, name), price_of_text(amount)) for above, amount in _tiers(stated, name))
    if name in TOKEN_COMPONENTS and per not in TOKEN_UNITS:
        raise PriceInvalid(f"Tokens are priced per 1, 1,000 or 1,000,000: {name}.")
    return ComponentPrice(price_of_text(stated.get("amount")), per=_whole(per, name), tiers=tiers)


def _tiers(stated: Mapping[str, Any], name: str) -> list[Any]:
    tiers = stated.get("tiers", [])
    if not isinstance(tiers, list | tuple) or not all(
        isinstance(tier, list | tuple) and len(tier) == 2 for tier in tiers
    ):
        raise PriceInvalid(
            f"tiers are pairs of a number of tokens and an amount: {name}.", pointer="/components"
        )
    return list(tiers)


def price_of_text(text: object) -> int:
    """Return a price in 10^-12 from its decimal string. Raises InvalidAmount, also for more than can be kept."""
    amount = parse_price(text)
    if amount > MAX_UNITS:
        raise InvalidAmount("A price is at most 9,223,372 of the currency's major unit.")
    return amount


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise PriceInvalid(f"per and the start of a tier are whole numbers up to 10^12: {name}.")
    return value

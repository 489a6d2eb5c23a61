"""Reading the price book: what the gate's caches are filled with, and lists for people.

Every function takes a raw cursor. Nothing here is on the path of a single call: a filled entry holds all
versions of a model or all of an organization's own prices, and `rules.rating.price_card` picks what holds at
a moment.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from events.store import Cursor
from orgs import PLATFORM_ID
from spend.rules.modelnames import ListedModel, find_model, provider_name
from spend.rules.pricedata import json_value, version_of
from spend.rules.prices import BookEntry, FxRate, Markup, PriceVersion
from spend.rules.rating import OrganizationPricing
from spend.rules.toolprices import ToolPrice

# The order of looking up (S78): the first of these that has a version holding at the moment is the charge's
# price.
OWN_KINDS = ("contract", "override", "plan")

LISTED_MODELS = """
SELECT provider, model, match::text, context_window, max_output_tokens FROM price_models
WHERE provider = ANY(%s) ORDER BY position, id
"""
EXACT_MODEL = """
SELECT model, match::text, context_window, max_output_tokens FROM price_models
WHERE provider = %s AND lower(model) = %s
"""
FALLBACK = "SELECT fallback FROM price_providers WHERE name = %s"
VERSION_COLUMNS = """
id, organization, kind, provider, model, currency, components::text, variants::text, daily_from, daily_to,
valid_from, valid_to, source, source_version
"""
BOOK_VERSIONS = f"""
SELECT {VERSION_COLUMNS} FROM price_versions
WHERE organization = %s AND kind = 'book' AND provider = %s AND model = %s
ORDER BY valid_from, published_at, id
"""
OWN_VERSIONS = f"""
SELECT {VERSION_COLUMNS} FROM price_versions
WHERE organization = %s AND kind <> 'book' ORDER BY valid_from, published_at, id
"""
VERSIONS_BY_ID = f"SELECT {VERSION_COLUMNS} FROM price_versions WHERE id = ANY(%s)"
MARKUPS = """
SELECT organization, id, ppm, valid_from, valid_to FROM markups WHERE organization = ANY(%s)
ORDER BY valid_from, published_at, id
"""
RATES = """
SELECT id, base, quote, rate, valid_from, markup_ppm, valid_to FROM fx_rates WHERE quote = %s
ORDER BY valid_from, published_at, id
"""
TOOLS = """
SELECT id, pattern, unit, amount, currency, valid_from, valid_to, per, organization FROM tool_prices
WHERE organization = ANY(%s) ORDER BY valid_from, published_at, id
"""


def load_book_entry(cur: Cursor, provider: str, model: str) -> BookEntry | None:
    """This function will return the book's model that this name means, with all versions of its price.

    By its own name, else by the rules of the price source, else by those of the providers whose models this
    one offers at their price. None: unknown. An entry without versions is a model that the source lists
    unpriced.
    """
    name = provider_name(provider)
    exact = cur.execute(EXACT_MODEL, (name, model.lower())).fetchone()
    if exact is not None:
        return _entry(cur, name, _listed(exact))
    fallback = _one(cur, FALLBACK, name) or []
    cur.execute(LISTED_MODELS, ([name, *fallback],))
    listed: dict[str, list[ListedModel]] = {}
    for of_provider, *columns in cur.fetchall():
        listed.setdefault(of_provider, []).append(_listed(columns))
    for candidate in (name, *fallback):
        found = find_model(listed.get(candidate, ()), model)
        if found is not None:
            return _entry(cur, candidate, found)
    return None


def load_organization_pricing(cur: Cursor, organization: UUID, currency: str) -> OrganizationPricing:
    """This function will return everything beside the book that an organization's charges are made of."""
    own: dict[tuple[str, str], dict[str, list[PriceVersion]]] = {}
    cur.execute(OWN_VERSIONS, (organization,))
    for version in map(_version, cur.fetchall()):
        by_kind = own.setdefault((version.provider, version.model), {})
        by_kind.setdefault(version.kind, []).append(version)
    markups = _markups(cur, organization)
    tools = _tools(cur, organization)
    return OrganizationPricing(
        currency=currency,
        own={
            name: tuple(tuple(by_kind[kind]) for kind in OWN_KINDS if kind in by_kind)
            for name, by_kind in own.items()
        },
        markups=tuple(markups.get(organization, ())),
        default_markups=tuple(markups.get(PLATFORM_ID, ())),
        fx=_rates(cur, currency),
        book_tools=tuple(tool for tool in tools if tool.organization == PLATFORM_ID),
        own_tools=tuple(tool for tool in tools if tool.organization != PLATFORM_ID),
    )


def price_versions(cur: Cursor, ids: Iterable[UUID]) -> dict[UUID, PriceVersion]:
    """This function will return price versions by id: what an old usage record was rated with (S6)."""
    cur.execute(VERSIONS_BY_ID, (list(ids),))
    return {version.id: version for version in map(_version, cur.fetchall())}


def _listed(row: Sequence[Any]) -> ListedModel:
    model, match, context_window, max_output_tokens = row
    return ListedModel(model, json_value(match), context_window, max_output_tokens)


def _entry(cur: Cursor, provider: str, found: ListedModel) -> BookEntry:
    cur.execute(BOOK_VERSIONS, (PLATFORM_ID, provider, found.model))
    versions = tuple(map(_version, cur.fetchall()))
    return BookEntry(provider, found.model, versions, found.context_window, found.max_output_tokens)


def _version(row: tuple[Any, ...]) -> PriceVersion:
    names = ("kind", "provider", "model", "currency", "components", "variants", "daily_from", "daily_to")
    data: dict[str, Any] = dict(zip(names, row[2:10], strict=True))
    data |= {"components": json_value(row[6]), "variants": json_value(row[7])}
    data |= {"valid_from": row[10], "valid_to": row[11], "source": row[12], "source_version": row[13]}
    return version_of(data, version_id=row[0], organization=row[1])


def _markups(cur: Cursor, organization: UUID) -> dict[UUID, list[Markup]]:
    cur.execute(MARKUPS, ([organization, PLATFORM_ID],))
    found: dict[UUID, list[Markup]] = {}
    for owner, *columns in cur.fetchall():
        found.setdefault(owner, []).append(Markup(*columns))
    return found


def _rates(cur: Cursor, currency: str) -> dict[str, tuple[FxRate, ...]]:
    cur.execute(RATES, (currency,))
    found: dict[str, list[FxRate]] = {}
    for row in cur.fetchall():
        rate = FxRate(*row)
        found.setdefault(rate.base, []).append(rate)
    return {base: tuple(rates) for base, rates in found.items()}


def _tools(cur: Cursor, organization: UUID) -> list[ToolPrice]:
    cur.execute(TOOLS, ([organization, PLATFORM_ID],))
    return [ToolPrice(*row) for row in cur.fetchall()]


def _one(cur: Cursor, statement: str, *arguments: Any) -> Any:
    row = cur.execute(statement, arguments).fetchone()
    return None if row is None else row[0]

"""Ending what was published: prices of models and tools, markups and exchange rates.

An end is the only thing about a published row that ever changes, and only ahead: what it priced before stays.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.errors import InvalidPeriod, InvalidTransition, NotFound
from events.store import Cursor, append
from orgs import PLATFORM_ID
from spend.operations.prices.records import Author, JsonObject, author, utc_text
from spend.rules.pricedata import json_value


@dataclass(frozen=True, slots=True)
class _Kind:
    """A stream of dated rows, and the statement that reads one as its events state it."""

    stream_type: str
    table: str
    has_organization: bool = True

    @property
    def row(self) -> str:
        """The statement; what has no organization is the platform's."""
        owner = "organization" if self.has_organization else f"'{PLATFORM_ID}'::uuid"
        return f"SELECT to_jsonb(t)::text FROM {self.table} t WHERE id = %s AND {owner} = %s"


_PRICE: Final = _Kind("price", "price_versions")
_TOOL: Final = _Kind("tool_price", "tool_prices")
_MARKUP: Final = _Kind("markup", "markups")
_RATE: Final = _Kind("fx_rate", "fx_rates", has_organization=False)


def end_price(
    cur: Cursor,
    *,
    actor: str,
    price: UUID,
    valid_to: datetime | None = None,
    organization: UUID | None = None,
    key: str | None = None,
) -> None:
    """This function will end a price version at valid_to; what it priced before stays as it is.

    Without valid_to it ends now, or never begins if its beginning lies ahead. An end that lies ahead may be moved.
    Raises NotFound for a price that is not the organization's (None: the book's), InvalidTransition for one that
    has ended, and InvalidPeriod for an end in the past or before its beginning.
    """
    _end(cur, author(cur, organization=organization, actor=actor, key=key), _PRICE, price, valid_to)


def end_tool_price(
    cur: Cursor,
    *,
    actor: str,
    price: UUID,
    valid_to: datetime | None = None,
    organization: UUID | None = None,
    key: str | None = None,
) -> None:
    """This function will end a tool's price. It takes and raises what end_price does."""
    _end(cur, author(cur, organization=organization, actor=actor, key=key), _TOOL, price, valid_to)


def end_markup(
    cur: Cursor,
    *,
    actor: str,
    markup: UUID,
    valid_to: datetime | None = None,
    organization: UUID | None = None,
    key: str | None = None,
) -> None:
    """This function will end a markup of an organization (None: the default). It raises what end_price does."""
    _end(cur, author(cur, organization=organization, actor=actor, key=key), _MARKUP, markup, valid_to)


def end_fx_rate(
    cur: Cursor, *, actor: str, rate: UUID, valid_to: datetime | None = None, key: str | None = None
) -> None:
    """This function will end an exchange rate. It raises what end_price does."""
    _end(cur, author(cur, organization=None, actor=actor, key=key), _RATE, rate, valid_to)


def _end(cur: Cursor, by: Author, kind: _Kind, row_id: UUID, valid_to: datetime | None) -> None:
    row = cur.execute(kind.row, (row_id, by.organization)).fetchone()
    if row is None:
        raise NotFound
    data: JsonObject = json_value(row[0])
    data["valid_to"] = utc_text(_end_of(data, valid_to, by.now))
    for name in ("valid_from", "published_at"):
        data[name] = utc_text(datetime.fromisoformat(data[name]))
    version = data.pop("version") + 1
    for name in ("id", "organization"):
        data.pop(name, None)
    append(cur, [by.event(kind.stream_type, "ended", data, stream_id=row_id, version=version)])


def _end_of(data: JsonObject, wanted: datetime | None, now: datetime) -> datetime:
    start = datetime.fromisoformat(data["valid_from"])
    known = None if data["valid_to"] is None else datetime.fromisoformat(data["valid_to"])
    if known is not None and known <= now:
        raise InvalidTransition("This has ended already.")
    stop = max(now, start) if wanted is None else wanted
    if stop < max(now, start):
        raise InvalidPeriod("An end lies neither in the past nor before the beginning.", pointer="/valid_to")
    return stop

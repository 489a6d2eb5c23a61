"""Query parameters and pages: unknown ones are refused, and a cursor is good only for its own list."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import QueryDict

from common import fields
from common.errors import InvalidCursor, InvalidParameter, ProblemError, UnknownParameter

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
PAGE_PARAMETERS: Final = frozenset({"limit", "cursor"})

_LIMIT = re.compile(r"[1-9][0-9]{0,2}")
_LONGEST_CURSOR = 1_000
_SEAL_BYTES = 16

_T = TypeVar("_T")
_Row = TypeVar("_Row")
_ModelT = TypeVar("_ModelT", bound=Model)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: up to `limit` rows after `position` (None: from the beginning)."""

    limit: int
    position: tuple[Any, ...] | None
    organization: UUID
    path: str

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than is shown tells whether there is a next page."""
        return self.limit + 1


class QueryReader:
    """Reads the query parameters of one request; each may occur once."""

    def __init__(self, query: QueryDict, *, allowed: Collection[str]) -> None:
        for name in query:
            if name not in allowed:
                raise UnknownParameter(f"{_shown(name)} is not a parameter here.")
            if len(query.getlist(name)) > 1:
                raise InvalidParameter(f"{name} is given more than once.")
        self._query = query

    def optional(self, name: str, check: Callable[..., _T], **options: Any) -> _T | None:
        """The checked value of a parameter, or None when it is absent. Raises InvalidParameter."""
        value = self._query.get(name)
        if value is None:
            return None
        try:
            return check(value, **options)
        except ProblemError as error:
            raise InvalidParameter(f"{name}: {error.detail}") from None

    def text(self, name: str, *, max_length: int = fields.MAX_NAME) -> str | None:
        """A parameter that is a text (a key, an id or a label)."""
        return self.optional(name, fields.text, max_length=max_length)

    def choice(self, name: str, *, options: Collection[str]) -> str | None:
        """A parameter that is one of a few words."""
        return self.optional(name, fields.choice, options=options)

    def uuid(self, name: str) -> UUID | None:
        """A parameter that is an id."""
        return self.optional(name, fields.uuid)

    def instant(self, name: str) -> dt.datetime | None:
        """A parameter that is a time of RFC 3339; a + that arrived as a space is taken for a +."""
        return self.optional(name, _instant)

    def flag(self, name: str) -> bool | None:
        """A parameter that is `true` or `false`."""
        word = self.choice(name, options=("true", "false"))
        return None if word is None else word == "true"

    def page(self, *, organization: UUID, path: str) -> Page:
        """The page that `limit` and `cursor` ask for. Raises InvalidParameter and InvalidCursor."""
        limit = self._query.get("limit")
        if limit is not None and (not _LIMIT.fullmatch(limit) or int(limit) > MAX_LIMIT):
            raise InvalidParameter(f"limit is an integer from 1 to {MAX_LIMIT}.")
        cursor = self._query.get("cursor")
        position = None if cursor is None else open_cursor(cursor, organization=organization, path=path)
        return Page(int(limit or DEFAULT_LIMIT), position, organization, path)


def make_cursor(position: Sequence[str | int], *, organization: UUID, path: str) -> str:
    """An opaque cursor that only this organization can use, and only on this path."""
    payload = msgspec.json.encode(list(position))
    return _to_text(_seal(payload, organization, path) + payload)


def open_cursor(cursor: str, *, organization: UUID, path: str) -> tuple[Any, ...]:
    """The position in a cursor. Raises InvalidCursor when it was not made for this organization and path."""
    if len(cursor) > _LONGEST_CURSOR or not cursor.isascii():
        raise InvalidCursor
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    seal, payload = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
    # Several texts decode to the same bytes: only the one that was given out is good.
    if _to_text(raw) != cursor or not hmac.compare_digest(seal, _seal(payload, organization, path)):
        raise InvalidCursor
    return tuple(msgspec.json.decode(payload))


def envelope(
    rows: Iterable[_Row],
    *,
    page: Page,
    position: Callable[[_Row], Sequence[str | int]],
    show: Callable[[_Row], Any],
) -> dict[str, Any]:
    """The answer of a list: `data`, and `next_cursor` when `page.fetch` rows were found."""
    found = list(rows)
    shown = found[: page.limit]
    cursor = None
    if len(found) > page.limit:
        cursor = make_cursor(position(shown[-1]), organization=page.organization, path=page.path)
    return {"data": [show(row) for row in shown], "next_cursor": cursor}


def keyset(
    queryset: QuerySet[_ModelT], *, page: Page, field: str = "id", descending: bool = True
) -> list[_ModelT]:
    """The rows of a page in the order of one unique field, newest first unless told otherwise."""
    ordered = queryset.order_by(f"-{field}" if descending else field)
    if page.position is not None:
        ordered = ordered.filter(**{f"{field}__{'lt' if descending else 'gt'}": page.position[0]})
    return list(ordered[: page.fetch])


def _instant(value: str) -> dt.datetime:
    return fields.instant(value.replace(" ", "+"))


def _seal(payload: bytes, organization: UUID, path: str) -> bytes:
    message = b"%b|%b|%b" % (organization.bytes, path.encode(), payload)
    key = b"counterfoil.cursor." + settings.SECRET_KEY.encode()
    return hmac.digest(key, message, "sha256")[:_SEAL_BYTES]


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _shown(name: str) -> str:
    return ascii(name[:60])

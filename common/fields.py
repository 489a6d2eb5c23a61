"""Strict checks of single values, as they come out of `strictjson`, and the reader that collects what is
wrong.

Every check takes the value and its JSON pointer, returns the value as the rest of the house uses it, and
raises the `ProblemError` of its code. None of them coerces: a number is no string, a string is no number,
true is no 1.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from common import ids, localtime, money
from common.currencies import parse_currency
from common.errors import (
    InvalidAmount,
    InvalidCurrency,
    InvalidDatetime,
    InvalidField,
    InvalidId,
    InvalidMetadata,
    InvalidPeriod,
    InvalidQuantity,
    InvalidText,
    NaiveDatetime,
    ProblemError,
)
from common.strictjson import NumberText, child_pointer

MAX_NAME: Final = 100
MAX_METADATA_KEYS: Final = 50
MAX_METADATA_KEY: Final = 40
MAX_METADATA_VALUE: Final = 500
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998
_LONGEST_NUMBER: Final = 40

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATETIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LINE_CONTROLS = frozenset("\t\n\r")


def amount(
    value: object,
    *,
    pointer: str = "",
    currency: str | None = None,
    allow_zero: bool = False,
    document: bool = False,
) -> int:
    """An amount in units of 10^-8; see `money.parse_amount`. Raises InvalidAmount."""
    try:
        return money.parse_amount(value, currency=currency, allow_zero=allow_zero, document=document)
    except InvalidAmount as error:
        raise InvalidAmount(error.detail, pointer=pointer) from None


def count_text(value: object, *, pointer: str = "", allow_zero: bool = False) -> int:
    """A limit in whole tokens, credits or points, written as a string of digits. Raises InvalidAmount."""
    try:
        return money.parse_count(value, allow_zero=allow_zero)
    except InvalidAmount as error:
        raise InvalidAmount(error.detail, pointer=pointer) from None


def price(value: object, *, pointer: str = "") -> int:
    """A price in 10^-12 of the major unit. Raises InvalidAmount."""
    try:
        return money.parse_price(value)
    except InvalidAmount as error:
        raise InvalidAmount(error.detail, pointer=pointer) from None


def quantity(value: object, *, pointer: str = "", maximum: int = money.MAX_COUNT) -> int:
    """A count of tokens or other whole things: a JSON integer from 0 to 10^12. Raises InvalidQuantity."""
    if type(value) is not int or not 0 <= value <= maximum:
        raise InvalidQuantity(pointer=pointer)
    return value


def metered_quantity(value: object, *, pointer: str = "") -> int:
    """A metered quantity in 10^-12, from a string with up to 12 decimals. Raises InvalidQuantity."""
    try:
        return money.parse_quantity(value)
    except InvalidQuantity as error:
        raise InvalidQuantity(error.detail, pointer=pointer) from None


def currency(value: object, *, pointer: str = "") -> str:
    """The code of a currency in use. Raises InvalidCurrency."""
    try:
        return parse_currency(value)
    except InvalidCurrency:
        raise InvalidCurrency(pointer=pointer) from None


def text(
    value: object,
    *,
    pointer: str = "",
    max_length: int = MAX_NAME,
    min_length: int = 1,
    multiline: bool = False,
) -> str:
    """A text in NFC of `min_length` to `max_length` code points.

    Control and format characters are refused; with `multiline` (reasons, descriptions, never names) tab,
    line feed and carriage return are taken. Raises InvalidField, and InvalidText for the characters.
    """
    if type(value) is not str:
        raise InvalidField("This is not a text.", pointer=pointer)
    if (
        min_length <= len(value) <= max_length
        and value.isascii()
        and value.isprintable()
        and not value.isspace()
    ):
        return value  # nearly always
    _refuse_characters(value, pointer, allowed=_LINE_CONTROLS if multiline else frozenset())
    normal = value if value.isascii() else unicodedata.normalize("NFC", value)
    if not min_length <= len(normal) <= max_length or (min_length and not normal.strip()):
        raise InvalidField(f"The text has {min_length} to {max_length} characters.", pointer=pointer)
    return normal


def key(value: object, *, pointer: str = "", max_length: int = MAX_NAME) -> str:
    """A caller's own key of an object: ASCII letters, digits and `._:/@+-`, beginning with a letter or digit.

    A key is never shaped like an id, because either may stand where an object is named. Raises InvalidText
    and InvalidField.
    """
    checked = text(value, pointer=pointer, max_length=max_length)
    if not _KEY.fullmatch(checked):
        raise InvalidField(
            "A key has ASCII letters, digits and ._:/@+- and begins with a letter or digit.", pointer=pointer
        )
    if is_id(checked):
        raise InvalidField("A key cannot look like an id.", pointer=pointer)
    return checked


def is_id(value: str) -> bool:
    """Whether a text is a UUID in canonical form."""
    try:
        ids.parse_id(value)
    except InvalidId:
        return False
    return True


def uuid(value: object, *, pointer: str = "") -> UUID:
    """An id in canonical form. Raises InvalidId."""
    try:
        return ids.parse_id(value)
    except InvalidId:
        raise InvalidId(pointer=pointer) from None


def instant(value: object, *, pointer: str = "") -> dt.datetime:
    """A time of RFC 3339 with offset, in UTC; what is finer than a microsecond is cut off.

    Raises NaiveDatetime without an offset, InvalidDatetime for everything else that is not such a time in
    the years 1970 to 9998.
    """
    match = _DATETIME.fullmatch(value) if type(value) is str else None
    if match is None:
        raise InvalidDatetime(pointer=pointer)
    day, clock, fraction, offset = match.groups()
    moment = _parse_time(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}", offset or "", pointer)
    if moment.tzinfo is None:
        raise NaiveDatetime(pointer=pointer)
    return moment


def wall_time(value: object, *, zone: str, pointer: str = "") -> dt.datetime:
    """The instant (UTC) of a local wall time without offset, such as 2026-03-08T02:30:00, in a zone.

    Raises InvalidDatetime, and NonexistentLocalTime for a time that the clocks skip.
    """
    match = _DATETIME.fullmatch(value) if type(value) is str else None
    if match is None or match[4] is not None:
        raise InvalidDatetime("A local time has no offset.", pointer=pointer)
    local = _parse_time(f"{match[1]}T{match[2]}", "", pointer)
    try:
        return localtime.exact_instant(local, zone=zone)
    except ProblemError as error:
        raise type(error)(pointer=pointer) from None


def date(value: object, *, pointer: str = "") -> dt.date:
    """A date as YYYY-MM-DD in the years 1970 to 9998. Raises InvalidDatetime."""
    if type(value) is not str or not _DATE.fullmatch(value):
        raise InvalidDatetime(pointer=pointer)
    try:
        day = dt.date.fromisoformat(value)
    except ValueError:
        raise InvalidDatetime(pointer=pointer) from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise InvalidDatetime(pointer=pointer)
    return day


def boolean(value: object, *, pointer: str = "") -> bool:
    """true or false. Raises InvalidField."""
    if type(value) is not bool:
        raise InvalidField("This is neither true nor false.", pointer=pointer)
    return value


def choice(value: object, *, options: Collection[str], pointer: str = "") -> str:
    """One of a few words. Raises InvalidField."""
    if type(value) is not str or value not in options:
        raise InvalidField(f"This is none of: {', '.join(sorted(options))}.", pointer=pointer)
    return value


def integer(value: object, *, minimum: int, maximum: int, pointer: str = "") -> int:
    """A JSON integer in a range. Raises InvalidField."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise InvalidField(f"This is no integer from {minimum} to {maximum}.", pointer=pointer)
    return value


def time_zone(value: object, *, pointer: str = "") -> str:
    """The name of a time zone of the IANA database. Raises InvalidField."""
    try:
        return localtime.parse_zone(value)
    except InvalidField as error:
        raise InvalidField(error.detail, pointer=pointer) from None


def metadata(value: object, *, pointer: str = "") -> dict[str, str]:
    """A flat object of at most 50 keys of 40 characters with texts of up to 500 characters.

    Raises InvalidMetadata.
    """
    if not isinstance(value, dict) or len(value) > MAX_METADATA_KEYS:
        raise InvalidMetadata(pointer=pointer)
    for name, member in value.items():
        if not 1 <= len(name) <= MAX_METADATA_KEY:
            raise InvalidMetadata(pointer=pointer)
        if type(member) is not str or len(member) > MAX_METADATA_VALUE:
            raise InvalidMetadata(pointer=child_pointer(pointer, name))
    return dict(value)


def free_object(value: object, *, pointer: str = "") -> dict[str, Any]:
    """A free-form JSON object (raw provider usage). Raises InvalidField.

    What the strict reading refuses everywhere is refused here, too; a number that no database could keep is
    InvalidField.
    """
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    _refuse_huge_numbers(value, pointer)
    return value


def text_list(
    value: object, *, pointer: str = "", max_items: int = 100, max_length: int = MAX_NAME
) -> list[str]:
    """A list of distinct texts. Raises InvalidField and InvalidText."""
    if not isinstance(value, list) or len(value) > max_items:
        raise InvalidField(f"This is no list of at most {max_items} texts.", pointer=pointer)
    items = [
        text(item, pointer=child_pointer(pointer, index), max_length=max_length)
        for index, item in enumerate(value)
    ]
    if len(set(items)) != len(items):
        raise InvalidField("The list names something twice.", pointer=pointer)
    return items


def choices(value: object, *, options: Collection[str], pointer: str = "") -> list[str]:
    """A list of distinct words out of a few, at least one. Raises InvalidField."""
    items = text_list(value, pointer=pointer, max_items=len(options))
    if not items:
        raise InvalidField("The list is empty.", pointer=pointer)
    return [
        choice(item, options=options, pointer=child_pointer(pointer, index))
        for index, item in enumerate(items)
    ]


def period(start: dt.datetime | None, end: dt.datetime | None, *, pointer: str) -> None:
    """Refuse a period [start, end) whose end does not lie after its start. Raises InvalidPeriod."""
    if start is not None and end is not None and end <= start:
        raise InvalidPeriod(pointer=pointer)


NULL_IS_A_VALUE: Final = frozenset({amount, count_text, price, quantity, metered_quantity, currency})
"""The checks for which null is a wrong value; for all others null in an optional field means it is absent."""


def _refuse_characters(value: str, pointer: str, *, allowed: frozenset[str]) -> None:
    if value.isascii() and value.isprintable():
        return
    for character in value:
        if unicodedata.category(character) in _REFUSED_CATEGORIES and character not in allowed:
            raise InvalidText(pointer=pointer)


def _parse_time(local: str, offset: str, pointer: str) -> dt.datetime:
    """The time, in UTC when it has an offset; datetime itself refuses second 60 and an offset of a day."""
    minutes_are_wrong = offset[-2:].isdigit() and int(offset[-2:]) > 59
    try:
        moment = dt.datetime.fromisoformat(local + ("+00:00" if offset in ("Z", "z") else offset))
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidDatetime(pointer=pointer) from None
    years = {moment.year, int(local[:4])}
    if minutes_are_wrong or min(years) < FIRST_YEAR or max(years) > LAST_YEAR:
        raise InvalidDatetime(pointer=pointer)
    return moment


def _refuse_huge_numbers(value: object, pointer: str) -> None:
    if isinstance(value, NumberText):
        _, _, exponent = value.text.lower().partition("e")
        if len(value.text) > _LONGEST_NUMBER or len(exponent) > 4:
            raise InvalidField("The number is too long.", pointer=pointer)
    members: Any = ()
    if isinstance(value, Mapping):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for place, member in members:
        _refuse_huge_numbers(member, child_pointer(pointer, place))

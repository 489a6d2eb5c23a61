"""Invoice numbers: a legal entity's pattern of series, year and counter, written strictly.

A pattern such as "{series}-{year}-{counter:6}" has each of the three once, and something between that is in none of
them: so two invoices never have one number.
"""

import re
from dataclasses import dataclass
from typing import Final

from common.errors import InvalidField

LONGEST_NUMBER: Final = 40
LARGEST_COUNTER: Final = 10**12 - 1
TEST_SERIES, TEST_CREDIT_SERIES = "TEST", "TESTCN"
"""The series of sandboxes: what was only tried out is no gap in the numbers of a seller's real documents."""
_FIELD: Final = re.compile(r"\{(series|year|counter:([1-9]|1[0-2]))\}")
_LITERAL: Final = re.compile(r"[A-Z0-9/._-]*")
_SERIES: Final = re.compile(r"[A-Z0-9]{1,10}")
_NAMES: Final = ("series", "year", "counter")


@dataclass(frozen=True, slots=True)
class InvoiceNumber:
    """One number of the gapless sequence (legal entity, series, year): counters begin with 1."""

    series: str
    year: int
    counter: int


def parse_pattern(value: object) -> str:
    """Return the pattern itself: {series}, {year} and {counter:digits}, each once, between A-Z 0-9 / . _ -.

    One of / . _ - stands between any two fields: neither may run into the other. Raises InvalidField.
    """
    if type(value) is not str or len(value) > LONGEST_NUMBER:
        raise InvalidField(f"A pattern is a text of at most {LONGEST_NUMBER} characters.")
    literals, names = _taken_apart(value)
    if sorted(names) != sorted(_NAMES) or not all(_LITERAL.fullmatch(literal) for literal in literals):
        raise InvalidField(
            "A pattern has {series}, {year} and {counter:6} once each, and A-Z 0-9 / . _ - between."
        )
    if any(literal.isalnum() or not literal for literal in literals[1:-1]):
        raise InvalidField("A pattern has one of / . _ - between two fields.")
    if len(format_number(value, InvoiceNumber("A" * 10, 9999, LARGEST_COUNTER))) > LONGEST_NUMBER:
        raise InvalidField(f"Numbers of this pattern could exceed {LONGEST_NUMBER} characters.")
    return value


def parse_series(value: object) -> str:
    """Return the series itself: up to ten of A-Z and 0-9, which begin with no TEST. Raises InvalidField."""
    if type(value) is not str or not _SERIES.fullmatch(value):
        raise InvalidField("A series has one to ten of A-Z and 0-9.")
    if value.startswith(TEST_SERIES):
        raise InvalidField("Series that begin with TEST number the invoices of sandboxes.")
    return value


def format_number(pattern: str, number: InvoiceNumber) -> str:
    """Return the number as it stands on the invoice; a counter that outgrows its digits gets longer.

    Raises ValueError for a series, year or counter that no number has.
    """
    if not (
        _SERIES.fullmatch(number.series)
        and 1000 <= number.year <= 9999
        and 1 <= number.counter <= LARGEST_COUNTER
    ):
        raise ValueError("a number has a series, a year of four digits and a counter from 1")
    written = {"series": number.series, "year": str(number.year)}

    def field(match: re.Match[str]) -> str:
        return written.get(match[1]) or str(number.counter).zfill(int(match[2]))

    return _FIELD.sub(field, pattern)


def _taken_apart(pattern: str) -> tuple[list[str], list[str]]:
    """The literals around the fields, and the fields' names: one literal more than fields."""
    literals, names, position = [], [], 0
    for match in _FIELD.finditer(pattern):
        literals.append(pattern[position : match.start()])
        names.append(match[1].partition(":")[0])
        position = match.end()
    return [*literals, pattern[position:]], names

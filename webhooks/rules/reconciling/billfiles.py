"""How providers' cost exports (CSV) are read: line by line, so that a file may be larger than memory. Pure.

Tolerant of what spreadsheets and exports change (the order and case of columns, more of them, a mark of the byte order,
ends of lines), strict with every value: a line that cannot be read refuses the whole file. Amounts are summed exactly.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from hashlib import sha256
from typing import Any, Final, TextIO

from common.currencies import parse_currency
from common.errors import InvalidField, ProblemError

OPENAI, ANTHROPIC = "openai", "anthropic"
PROVIDERS: Final = (OPENAI, ANTHROPIC)
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    OPENAI: ("start_time", "amount_value", "amount_currency", "line_item"),
    ANTHROPIC: ("usage_date_utc", "model", "cost_usd"),
}
MAX_GROUPS: Final = 5_000
MAX_LINE: Final = 100_000
"""Characters of a line: what is longer has no ends of lines and would be read into memory whole."""
_DIGITS: Final = 80
"""Enough for the exact sum of amounts of 12 digits before and 49 after the point."""
_AMOUNT: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,30})?([eE]-(0?[0-9]|1[0-9]))?", re.ASCII)
_DAY_SECONDS: Final = 86_400


class UnknownColumns(ProblemError):
    """The first line of the file does not name the columns of the provider's cost export."""

    code = "bill_columns_unknown"
    status = 422


@dataclass(frozen=True, slots=True)
class Statement:
    """What a file says: exact sums by day and model. `digest` is that of its content, however columns and lines are
    ordered: whoever sorts or saves an export anew has the same bill."""

    provider: str
    digest: str
    currency: str
    sums: Mapping[tuple[date, str], Decimal]


@dataclass(frozen=True, slots=True)
class _Cells:
    """A line's values by the names of their columns. Refusals name the line, and the column where it is one's."""

    number: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def refused(self, column: str, what: str) -> InvalidField:
        """Return the refusal of a value."""
        given = self.values[column][:40]
        return InvalidField(f"Line {self.number}, column {column}: {given!r} is {what}.", pointer="/csv")


def read_statement(file: TextIO, *, provider: str) -> Statement:
    """This function will read a cost export from a text stream that was opened with newline="".

    Raises UnknownColumns, and InvalidField that says which line and column cannot be read.
    """
    if provider not in PROVIDERS:
        raise InvalidField("A provider is openai or anthropic.", pointer="/provider")
    sums: dict[tuple[date, str], Decimal] = {}
    currencies: set[str] = set()
    content = 0
    with localcontext() as context:
        context.prec = _DIGITS
        for cells, whole in _cells(file, provider):
            content += int.from_bytes(sha256(whole).digest())
            found = _LINES[provider](cells)
            if found is None:
                continue
            day, model, amount, currency = found
            sums[day, model] = sums.get((day, model), Decimal(0)) + amount
            currencies.add(currency)
            if len(sums) > MAX_GROUPS:
                raise InvalidField(f"A file has at most {MAX_GROUPS} days and models.", pointer="/csv")
            if len(currencies) > 1:
                raise InvalidField("All lines of a file are in one currency.", pointer="/csv")
    if not sums:
        raise InvalidField("The file bills nothing.", pointer="/csv")
    digest = sha256(f"{provider}\n{content % 2**256}".encode()).hexdigest()
    return Statement(provider, digest, currencies.pop(), sums)


def _cells(file: TextIO, provider: str) -> Iterator[tuple[_Cells, bytes]]:
    """Each line with what it adds to the digest: all its columns, ordered by name."""
    reader = csv.reader(_bounded(file), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        places = _places(names, provider)
        order = sorted(range(len(names)), key=lambda place: (names[place], place))
        named = "\x1f".join(names[place] for place in order)
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise InvalidField(
                    f"Line {reader.line_num} has {len(row)} columns, line 1 names {len(names)}.",
                    pointer="/csv",
                )
            values = [value.strip() for value in row]
            whole = "\x1f".join((named, *(values[place] for place in order)))
            cells = {name: values[place] for name, place in places.items()}
            yield _Cells(reader.line_num, cells), whole.encode()
    except csv.Error as error:
        raise InvalidField(f"Line {reader.line_num} is no CSV: {error}.", pointer="/csv") from error


def _bounded(file: TextIO) -> Iterator[str]:
    first = True
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise InvalidField(f"A line has at most {MAX_LINE} characters.", pointer="/csv")
        yield line.removeprefix("\ufeff") if first else line
        first = False


def _places(names: Sequence[str], provider: str) -> dict[str, int]:
    wanted = COLUMNS[provider]
    missing = [name for name in wanted if names.count(name) != 1]
    if missing:
        raise UnknownColumns(
            f"Line 1 has not, each once: {', '.join(missing)}. A cost export of {provider} names the columns"
            f" {', '.join(wanted)}, in any order, and may name more.",
            pointer="/csv",
            extra={"expected_columns": list(wanted), "missing_columns": missing},
        )
    return {name: names.index(name) for name in wanted}


def _openai(cells: _Cells) -> tuple[date, str, Decimal, str] | None:
    # A day on which nothing was billed is a line without amount, currency and item.
    if not cells["amount_value"] and not cells["amount_currency"] and not cells["line_item"]:
        return None
    return (
        _day_of_second(cells, "start_time"),
        _model(cells["line_item"].partition(",")[0].strip()),
        _amount(cells, "amount_value"),
        _currency(cells, "amount_currency"),
    )


def _anthropic(cells: _Cells) -> tuple[date, str, Decimal, str]:
    return _day(cells, "usage_date_utc"), _model(cells["model"]), _amount(cells, "cost_usd"), "USD"


_LINES: Final[Mapping[str, Any]] = {OPENAI: _openai, ANTHROPIC: _anthropic}


def _model(text: str) -> str:
    """As calls are recorded; what is no model's (storage, a search) is billed under its own name."""
    return text.lower()[:200] or "other"


def _amount(cells: _Cells, column: str) -> Decimal:
    if not _AMOUNT.fullmatch(cells[column]):
        raise cells.refused(column, "no amount: digits and a point, without thousands separators")
    return Decimal(cells[column])


def _currency(cells: _Cells, column: str) -> str:
    try:
        return parse_currency(cells[column].upper())
    except ProblemError as error:
        raise cells.refused(column, "no currency") from error


def _day(cells: _Cells, column: str) -> date:
    try:
        return date.fromisoformat(cells[column])
    except ValueError as error:
        raise cells.refused(column, "no day, such as 2026-03-01") from error


def _day_of_second(cells: _Cells, column: str) -> date:
    text = cells[column]
    if not text.isascii() or not text.isdigit() or len(text) > 11 or int(text) % _DAY_SECONDS:
        raise cells.refused(column, "no beginning of a day in seconds")
    return datetime.fromtimestamp(int(text), UTC).date()

"""Invoice numbers: written by a legal entity's pattern, no two alike."""

import pytest

from billing.rules.numbers import (
    InvoiceNumber,
    format_number,
    parse_pattern,
    parse_series,
)
from common.errors import InvalidField

PATTERN = "{series}-{year}-{counter:6}"


class TestWriting:
    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            (PATTERN, "R1-2026-000042"),
            ("INV{year}/{series}/{counter:4}", "INV2026/R1/0042"),
            ("CF.{counter:1}_{year}.{series}X", "CF.42_2026.R1X"),
        ],
    )
    def test_fills_in_series_year_and_counter(self, pattern: str, text: str) -> None:
        number = InvoiceNumber("R1", 2026, 42)
        assert format_number(parse_pattern(pattern), number) == text

    def test_goes_on_when_the_counter_outgrows_its_digits(self) -> None:
        number = InvoiceNumber("R", 2026, 1_000_000)
        assert format_number(PATTERN, number) == "R-2026-1000000"

    @pytest.mark.parametrize(
        "number",
        [
            InvoiceNumber("", 2026, 1),
            InvoiceNumber("r", 2026, 1),
            InvoiceNumber("R", 999, 1),
            InvoiceNumber("R", 10_000, 1),
            InvoiceNumber("R", 2026, 0),
            InvoiceNumber("R", 2026, 10**12),
        ],
    )
    def test_refuses_what_no_number_has(self, number: InvoiceNumber) -> None:
        with pytest.raises(ValueError, match="counter from 1"):
            format_number(PATTERN, number)

    @pytest.mark.parametrize(
        "pattern",
        [
            PATTERN,
            "INV{year}/{series}/{counter:4}",
            "CF.{counter:1}_{year}.{series}X",
            "{counter:12}-{series}-{year}",
        ],
    )
    def test_writes_no_two_numbers_alike(self, pattern: str) -> None:
        """Series that end or begin like a year, and counters that outgrow their digits, are what could be confused."""
        series = ["R", "R2", "R20", "2", "20", "2026", "202", "X", "1X"]
        counters = [1, 9, 10, 26, 99, 2026, 9_999, 10_000, 999_999, 1_000_000, 20_260_001]
        numbers = [
            InvoiceNumber(name, year, counter)
            for name in series for year in (1000, 2020, 2026, 2027) for counter in counters
        ]  # fmt: skip
        assert len({format_number(parse_pattern(pattern), number) for number in numbers}) == len(numbers)


class TestPatterns:
    @pytest.mark.parametrize(
        "pattern",
        [
            "{series}-{year}",
            "{series}-{year}-{counter}",
            "{series}-{year}-{counter:0}",
            "{series}-{year}-{counter:13}",
            "{series}-{series}-{year}-{counter:6}",
            "{series}{year}-{counter:6}",
            "{series}-{year}{counter:6}",
            "{series}X{year}-{counter:6}",
            "{series}-{year}-{counter:6}-{name}",
            "inv-{series}-{year}-{counter:6}",
            "{series}-{year}-{counter:6} ",
            "INVOICES-OF-THE-YEAR-{series}-{year}-{counter:6}",
            "",
            None,
            7,
        ],
    )
    def test_that_could_be_misread_are_refused(self, pattern: object) -> None:
        with pytest.raises(InvalidField):
            parse_pattern(pattern)

    def test_of_a_series_are_ten_letters_and_digits(self) -> None:
        assert parse_series("CN26") == "CN26"
        for value in ("", "cn", "A-B", "A" * 11, None):
            with pytest.raises(InvalidField):
                parse_series(value)

"""Invoice numbers: written by a legal entity's pattern and read back as exactly the same."""

import pytest

from billing.rules.numbers import (
    InvoiceNumber,
    format_number,
    parse_number,
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
        assert parse_number(pattern, text) == number

    def test_goes_on_when_the_counter_outgrows_its_digits(self) -> None:
        number = InvoiceNumber("R", 2026, 1_000_000)
        assert format_number(PATTERN, number) == "R-2026-1000000"
        assert parse_number(PATTERN, "R-2026-1000000") == number

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


class TestReading:
    @pytest.mark.parametrize(
        "text",
        [
            "R-2026-00042",  # a digit too few
            "R-2026-0000042",  # written with six digits it would be shorter
            "R-2026-000000",
            "R-0026-000042",
            "r-2026-000042",
            "-2026-000042",
            "R-2026-000042 ",
            "R-2026-000042\n",
            "R-2026-٠٠٠٠٤٢",
            "R/2026/000042",
            "R-2026-1000000000000",
            "",
            None,
            42,
        ],
    )
    def test_takes_only_what_the_pattern_writes(self, text: object) -> None:
        with pytest.raises(InvalidField):
            parse_number(PATTERN, text)


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

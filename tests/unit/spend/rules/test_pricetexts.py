"""Percentages and prices as people read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidField, InvalidQuantity
from spend.rules.pricetexts import (
    MAX_MARKUP_PPM,
    changed_lines,
    component_lines,
    percent_of_ppm,
    ppm_of_percent,
    shown_components,
)

INPUT = {"amount": 3 * 10**12, "per": 1_000_000}
OUTPUT = {"amount": 15 * 10**12, "per": 1_000_000, "tiers": [[200_000, 22_500_000_000_000]]}


@given(st.integers(min_value=0, max_value=MAX_MARKUP_PPM))
def test_a_percentage_reads_back_as_it_was_written(ppm: int) -> None:
    assert ppm_of_percent(percent_of_ppm(ppm)) == ppm


@pytest.mark.parametrize(("text", "ppm"), [("0", 0), ("2.5", 25_000), ("0.0001", 1), ("100000", 10**9)])
def test_a_percentage_is_millionths(text: str, ppm: int) -> None:
    assert ppm_of_percent(text) == ppm


@pytest.mark.parametrize("text", ["0.00001", "-1", "1e2", "", " 1", "1%", 5, None])
def test_what_is_no_percentage_is_refused(text: object) -> None:
    with pytest.raises(InvalidQuantity):
        ppm_of_percent(text)


def test_a_markup_has_an_end() -> None:
    with pytest.raises(InvalidField):
        ppm_of_percent("100000.0001")


def test_a_price_is_shown_in_decimals() -> None:
    assert shown_components({"output": OUTPUT}) == {
        "output": {"amount": "15", "per": 1_000_000, "tiers": [[200_000, "22.5"]]}
    }
    assert component_lines({"output": OUTPUT, "input": INPUT}) == [
        "input 3 per 1,000,000",
        "output 15 per 1,000,000, above 200,000: 22.5",
    ]


def test_only_what_differs_is_told() -> None:
    dearer = {"amount": 4 * 10**12, "per": 1_000_000}
    assert changed_lines({"input": INPUT, "output": OUTPUT}, {"input": dearer, "output": OUTPUT}) == [
        "input: 3 per 1,000,000 -> 4 per 1,000,000"
    ]
    assert changed_lines({}, {"input": INPUT}) == ["input: none -> 3 per 1,000,000"]

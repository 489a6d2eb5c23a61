"""Between our units and the processor's: exact, or refused."""

import pytest

from billing.rules.assembling import rounding_lines
from billing.rules.payments.minor import FinerThanProcessor, charged_step, currency_of, from_minor, to_minor
from common.currencies import EXPONENTS
from common.errors import InvalidAmount, InvalidCurrency
from common.money import MAX_UNITS

CASES = {
    "USD": (12_345, 12_345_000_000),
    "JPY": (500, 50_000_000_000),
    "KWD": (12_340, 1_234_000_000),
    "ISK": (500, 500_000_000),
    "UGX": (500, 500_000_000),
    "MGA": (5, 500_000_000),
    "HUF": (500, 500_000_000),
}


# Y2: the processor counts these otherwise than ISO 4217 does
@pytest.mark.parametrize(
    "currency",
    [pytest.param(code, id=f"Y2-{code}" if code in ("MGA", "UGX", "ISK") else code) for code in CASES],
)
def test_an_amount_goes_and_comes_back_in(currency: str) -> None:
    minor, units = CASES[currency]

    assert (to_minor(units, currency=currency), from_minor(minor, currency=currency)) == (minor, units)


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_the_smallest_amount_goes_and_less_is_refused_in(currency: str) -> None:
    step = charged_step(currency)

    assert from_minor(to_minor(step, currency=currency), currency=currency) == step
    for finer in (1, step - 1, step + 1):
        with pytest.raises(FinerThanProcessor):
            to_minor(finer, currency=currency)


@pytest.mark.parametrize(
    ("currency", "units"),
    [("USD", 1_000_001), ("JPY", 150_000_000), ("KWD", 100_000), ("ISK", 50_000_000), ("MGA", 50_000_000)],
    ids=[
        "a fraction of a cent",
        "half a yen",
        "Y4 a last digit of a dinar",
        "half a krona",
        "half an ariary",
    ],
)
def test_nothing_is_rounded(currency: str, units: int) -> None:
    with pytest.raises(FinerThanProcessor):
        to_minor(units, currency=currency)


@pytest.mark.parametrize(
    ("currency", "total", "rounding"),
    [
        ("KWD", 1_234_500_000, 500_000),
        ("KWD", 1_234_400_000, -400_000),
        ("KWD", 1_234_000_000, 0),
        ("KWD", 400_000, -400_000),
        ("KWD", 0, 0),
        ("KWD", -1_234_500_000, 0),
        ("MGA", 150_000_000, 50_000_000),
        ("MGA", 140_000_000, -40_000_000),
        ("USD", 1_000_000, 0),
        ("JPY", 100_000_000, 0),
    ],
    ids=[
        "Y4 half a step up", "Y4 less down", "Y4 a step as it is", "Y4 next to nothing to nothing", "nothing",
        "Y4 never below zero", "Y2 half an ariary up", "Y2 less down", "a cent as it is", "a yen as it is",
    ],
)  # fmt: skip
def test_a_total_comes_to_what_can_be_charged_by_a_line(currency: str, total: int, rounding: int) -> None:
    lines = rounding_lines(total, currency=currency, number=7)

    assert [(line.number, line.net, line.tax, line.account) for line in lines] == (
        [(7, rounding, 0, "rounding")] if rounding else []
    )


def test_nothing_below_zero_is_moved() -> None:
    with pytest.raises(InvalidAmount):
        to_minor(-1_000_000, currency="USD")


def test_a_fee_may_be_below_zero() -> None:
    assert from_minor(-30, currency="USD") == -30_000_000


@pytest.mark.parametrize("minor", [1.0, "1", True, None], ids=["float", "text", "boolean", "none"])
def test_what_is_no_whole_number_is_no_amount(minor: object) -> None:
    with pytest.raises(InvalidAmount):
        from_minor(minor, currency="USD")  # type: ignore[arg-type]


def test_an_amount_beyond_what_is_stored_is_refused() -> None:
    with pytest.raises(Exception, match="range"):
        from_minor(MAX_UNITS, currency="USD")


def test_the_code_comes_in_small_letters() -> None:
    assert currency_of("usd") == "USD"
    for wrong in ("Usd", "xxx", "", None, 7):
        with pytest.raises(InvalidCurrency):
            currency_of(wrong)

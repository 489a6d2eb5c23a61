"""A record's detail alone gives its cost and charge again (S6)."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from spend.rules.explaining import rating_detail, recomputed
from spend.rules.prices import ComponentPrice, FxRate, Markup, PriceVersion
from spend.rules.rating import PriceCard, Usage, rate
from spend.rules.toolprices import ToolPrice, ToolPriceList, tool_use

START = datetime(2026, 1, 1, tzinfo=UTC)
AMOUNTS = st.integers(0, 10**14)


def price(amounts: list[int], currency: str = "USD") -> PriceVersion:
    names = ("input", "cache_read", "output", "fee")
    components = {
        name: ComponentPrice(amount, per=1_000_000) for name, amount in zip(names, amounts, strict=False)
    }
    return PriceVersion(uuid4(), "p", "m", currency, components, START)


def tools(amount: int, currency: str) -> ToolPriceList:
    return ToolPriceList({"*": ToolPrice(uuid4(), "*", "call", amount, currency, START, per=1_000)})


def fx(base: str, rate_units: int, ppm: int) -> FxRate:
    return FxRate(uuid4(), base, "EUR", rate_units, START, markup_ppm=ppm)


cards = st.builds(
    PriceCard,
    currency=st.sampled_from(["EUR", "USD"]),
    book=st.lists(AMOUNTS, min_size=4, max_size=4).map(price),
    own=st.none()
    | st.builds(price, st.lists(AMOUNTS, min_size=3, max_size=4), st.sampled_from(["EUR", "USD"])),
    markup=st.builds(lambda ppm: Markup(uuid4(), ppm, START), st.integers(0, 3_000_000)),
    fx=st.builds(
        lambda rate_units, ppm: {"USD": fx("USD", rate_units, ppm), "EUR": fx("EUR", rate_units, ppm)},
        st.integers(1, 10**14),
        st.integers(0, 200_000),
    ),
    book_tools=st.builds(tools, AMOUNTS, st.sampled_from(["EUR", "USD"])),
    own_tools=st.just(ToolPriceList({})) | st.builds(tools, AMOUNTS, st.just("EUR")),
)
usages = st.builds(
    lambda plain, cached, output, calls, fees: Usage(
        input_tokens=plain + cached,
        cache_read_input_tokens=cached,
        output_tokens=output,
        tool_calls=(tool_use("search", calls),) if calls else (),
        components=(("fee", fees),) if fees else (),
    ),
    *[st.integers(0, 10**6)] * 3,
    st.integers(0, 50),
    st.integers(0, 10**14),
)


@given(card=cards, usage=usages, amount=st.integers(0, 10**10), own_key=st.booleans())
def test_what_is_kept_gives_the_same_figures_on_another_path(
    card: PriceCard, usage: Usage, amount: int, own_key: bool
) -> None:
    rated = rate(usage, card, amount_units=amount, own_key=own_key)
    kept = json.loads(msgspec.json.encode(rating_detail(rated, amount_units=amount, own_key=own_key)))
    assert recomputed(kept, card.currency) == (rated.cost_units, rated.charge_units)


def test_what_is_kept_reads_as_decimals() -> None:
    card = PriceCard("USD", price([3 * 10**12, 3 * 10**11, 15 * 10**12]), markup=Markup(None, 100_000, START))
    detail = rating_detail(rate(Usage(1_000, 400, 0, 0, 7), card), amount_units=5)
    assert detail == {
        "lines": [
            ["input", "600", "0.0018", "USD"],
            ["cache_read", "400", "0.00012", "USD"],
            ["output", "7", "0.000105", "USD"],
        ],
        "amount": 5,
        "markup_ppm": 100_000,
    }

"""Rating: exact integers, one rounding, every component its own price, and nothing priced by a guess."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AmountOutOfRange
from spend.rules.prices import (
    BookEntry,
    ComponentPrice,
    FxRate,
    Markup,
    PriceInvalid,
    PriceUnknown,
    PriceVariant,
    PriceVersion,
)
from spend.rules.rating import (
    OrganizationPricing,
    PriceCard,
    Rated,
    Usage,
    estimate,
    price_card,
    rate,
    rate_amount,
)
from spend.rules.toolprices import ToolPrice, ToolPriceList, ToolUse, tool_use

START = datetime(2026, 1, 1, tzinfo=UTC)
PICO = 10**12


def million(price: str, *tiers: tuple[int, str]) -> ComponentPrice:
    """The price of a million tokens."""
    return ComponentPrice(
        int(Decimal(price) * PICO), tiers=tuple((above, int(Decimal(text) * PICO)) for above, text in tiers)
    )


def version(components: dict[str, ComponentPrice], **changes: object) -> PriceVersion:
    """A version of the price of a model."""
    price = PriceVersion(uuid4(), "anthropic", "claude-sonnet-4-5", "USD", components, START)
    return replace(price, **changes)  # type: ignore[arg-type]


SONNET = version(
    {
        "input": million("3", (200_000, "6")),
        "cache_read": million("0.3", (200_000, "0.6")),
        "cache_creation": million("3.75", (200_000, "7.5")),
        "cache_creation_1h": million("6", (200_000, "12")),
        "output": million("15", (200_000, "22.5")),
        "web_search": ComponentPrice(10 * PICO, per=1_000),
    }
)
GPT = version({"input": million("1.25"), "cache_read": million("0.125"), "output": million("10")})
CARD = PriceCard("USD", SONNET)
CACHED = Usage(
    input_tokens=10_000, cache_read_input_tokens=6_000, cache_creation_input_tokens=1_000, output_tokens=2_000
)


def units(text: str) -> int:
    """An amount in 10^-8."""
    return int(Decimal(text) * 10**8)


def lines(rated: Rated) -> dict[str, int]:
    """The amounts of the components in 10^-12."""
    return {line.component: line.amount for line in rated.lines}


class TestTokens:
    def test_every_kind_of_token_has_its_own_price(self) -> None:
        usage = msgspec.structs.replace(CACHED, cache_creation_1h_input_tokens=400)
        rated = rate(usage, CARD)
        assert lines(rated) == {
            "input": 3_000 * 3_000_000,
            "cache_read": 6_000 * 300_000,
            "cache_creation": 600 * 3_750_000,
            "cache_creation_1h": 400 * 6_000_000,
            "output": 2_000 * 15_000_000,
        }
        assert rated.cost_units == units("0.04545")

    def test_the_checked_figure_of_a_cached_call(self) -> None:
        rated = rate(CACHED, CARD)
        assert (rated.cost_units, rated.charge_units) == (units("0.04455"), units("0.04455"))
        assert rated.price_version == SONNET.id

    def test_a_kind_without_a_price_of_its_own_costs_what_includes_it(self) -> None:
        rated = rate(CACHED, PriceCard("USD", GPT))
        assert lines(rated)["cache_creation"] == 1_000 * 1_250_000
        assert rated.cost_units == units("0.02575")

    def test_reasoning_is_priced_inside_the_output_and_never_on_top_of_it(self) -> None:
        plain = rate(Usage(output_tokens=1_000), CARD)
        thinking = rate(Usage(output_tokens=1_000, reasoning_output_tokens=900), CARD)
        assert thinking.cost_units == plain.cost_units == units("0.015")

    def test_reasoning_with_a_price_of_its_own_takes_that_price(self) -> None:
        price = version({**SONNET.components, "reasoning": million("5")})
        rated = rate(Usage(output_tokens=1_000, reasoning_output_tokens=400), PriceCard("USD", price))
        assert rated.cost_units == units("0.009") + units("0.002")

    @pytest.mark.parametrize(
        ("tokens", "cost"), [(200_000, "0.6"), (200_001, "1.200006"), (1_000_000, "6"), (0, "0")]
    )
    def test_long_context_starts_above_its_threshold_for_all_tokens(self, tokens: int, cost: str) -> None:
        assert rate(Usage(input_tokens=tokens), CARD).cost_units == units(cost)

    def test_the_step_is_told_by_all_input_and_changes_the_output_too(self) -> None:
        usage = Usage(input_tokens=300_000, cache_read_input_tokens=299_000, output_tokens=1_000)
        assert rate(usage, CARD).cost_units == units("0.006") + units("0.1794") + units("0.0225")

    def test_steps_of_several_heights_each_take_their_price(self) -> None:
        price = version({"input": million("1", (32_000, "2"), (128_000, "4")), "output": million("1")})
        card = PriceCard("USD", price)
        costs = [rate(Usage(input_tokens=tokens), card).cost_units for tokens in (32_000, 32_001, 128_001)]
        assert costs == [units("0.032"), units("0.064002"), units("0.512004")]

    def test_nothing_used_costs_nothing(self) -> None:
        assert rate(Usage(), CARD).cost_units == 0


class TestRounding:
    @pytest.mark.parametrize(("pico", "expected"), [(4_999, 0), (5_000, 1), (14_999, 1), (15_000, 2), (1, 0)])
    def test_a_half_is_rounded_up_and_less_is_not(self, pico: int, expected: int) -> None:
        price = version({"input": ComponentPrice(pico, per=1)})
        assert rate(Usage(input_tokens=1), PriceCard("USD", price)).cost_units == expected

    def test_the_sum_is_rounded_not_the_components(self) -> None:
        price = version({name: ComponentPrice(4_000, per=1) for name in ("input", "output")})
        assert rate(Usage(input_tokens=1, output_tokens=1), PriceCard("USD", price)).cost_units == 1

    def test_the_markup_is_applied_before_the_one_rounding(self) -> None:
        price = version({"input": ComponentPrice(4_000, per=1)})
        card = PriceCard("USD", price, markup=Markup(None, 300_000, START))
        rated = rate(Usage(input_tokens=1), card)
        assert (rated.cost_units, rated.charge_units) == (0, 1)

    @given(
        prices=st.tuples(*[st.integers(0, 10**14)] * 3),
        counts=st.tuples(*[st.integers(0, 10**6)] * 3),
        ppm=st.integers(0, 3_000_000),
    )
    def test_the_figure_equals_exact_decimal_arithmetic(
        self, prices: tuple[int, int, int], counts: tuple[int, int, int], ppm: int
    ) -> None:
        kinds = ("input", "cache_read", "output")
        # a million times as fine as the smallest line, so that no line is cut
        price = version({kind: ComponentPrice(p * 10**6) for kind, p in zip(kinds, prices, strict=True)})
        plain, cached, output = counts
        usage = Usage(plain + cached, cached, 0, 0, output)
        rated = rate(usage, PriceCard("USD", price, markup=Markup(None, ppm, START)))
        exact = sum((Decimal(c) * p for c, p in zip(counts, prices, strict=True)), Decimal(0)) / 10**12
        assert rated.cost_units == _half_up(exact)
        assert rated.charge_units == _half_up(exact * (10**6 + ppm) / 10**6)
        assert sum(line.amount for line in rated.lines) == exact * 10**12

    def test_an_amount_above_what_can_be_kept_is_refused(self) -> None:
        price = version({"input": ComponentPrice(10**18, per=1)})
        with pytest.raises(AmountOutOfRange):
            rate(Usage(input_tokens=10**12), PriceCard("USD", price))


def _half_up(major: Decimal) -> int:
    return int((major * 10**8).quantize(Decimal(1), ROUND_HALF_UP))


class TestComponents:
    def test_components_stand_beside_tokens_with_equal_rank(self) -> None:
        price = version({**SONNET.components, "api_fee": ComponentPrice(PICO // 100, per=1)})
        usage = Usage(
            input_tokens=1_000, components=(("api_fee", 3 * PICO),), tool_calls=(tool_use("web_search", 2),)
        )
        rated = rate(usage, PriceCard("USD", price))
        assert lines(rated) == {"input": 3 * 10**9, "api_fee": 3 * 10**10, "tool:web_search": 2 * 10**10}
        assert rated.cost_units == units("0.053") == sum(lines(rated).values()) // 10_000

    def test_a_quantity_may_have_decimals(self) -> None:
        price = version({"audio_seconds": ComponentPrice(36 * 10**10, per=3_600)})
        usage = Usage(components=(("audio_seconds", 12_500_000_000_000),))
        assert rate(usage, PriceCard("USD", price)).cost_units == units("0.00125")

    def test_a_fee_per_request_is_added_to_every_call(self) -> None:
        price = version({**GPT.components, "request": ComponentPrice(5 * PICO, per=1_000)})
        assert rate(Usage(input_tokens=1_000), PriceCard("USD", price)).cost_units == units("0.00625")

    def test_audio_in_the_input_takes_its_own_price_once(self) -> None:
        price = version({**GPT.components, "audio_input": million("40")})
        usage = Usage(input_tokens=1_000, details=(("audio_input", 300),))
        rated = rate(usage, PriceCard("USD", price))
        assert lines(rated) == {"input": 700 * 1_250_000, "audio_input": 300 * 40_000_000}

    def test_cached_audio_takes_the_price_of_cached_audio(self) -> None:
        price = version({**GPT.components, "audio_input": million("40"), "audio_cache_read": million("2")})
        usage = Usage(
            1_000, cache_read_input_tokens=500, details=(("audio_input", 300), ("audio_cache_read", 200))
        )
        rated = rate(usage, PriceCard("USD", price))
        assert lines(rated) == {
            "audio_input": 100 * 40_000_000,
            "audio_cache_read": 200 * 2_000_000,
            "cache_read": 300 * 125_000,
            "input": 400 * 1_250_000,
        }

    def test_a_part_without_a_price_of_its_own_costs_what_includes_it(self) -> None:
        usage = Usage(
            input_tokens=1_000, output_tokens=10, details=(("image_input", 300), ("image_output", 10))
        )
        assert rate(usage, PriceCard("USD", GPT)).cost_units == units("0.00135")


class TestNothingIsGuessed:
    def test_an_unknown_model_is_refused_by_name(self) -> None:
        with pytest.raises(PriceUnknown) as refused:
            rate(Usage(input_tokens=1), PriceCard("USD", provider="openai", model="gpt-99"))
        assert refused.value.fields == {"provider": "openai", "model": "gpt-99"}
        assert (refused.value.status, refused.value.code) == (422, "price_unknown")

    def test_an_unknown_component_is_refused_by_name(self) -> None:
        with pytest.raises(PriceUnknown) as refused:
            rate(Usage(input_tokens=1, components=(("image_output", 3 * PICO),)), CARD)
        assert refused.value.fields["component"] == "image_output"

    def test_tokens_of_a_model_that_has_no_price_for_them_are_refused(self) -> None:
        embeddings = version({"input": million("0.1")})
        with pytest.raises(PriceUnknown) as refused:
            rate(Usage(input_tokens=1, output_tokens=1), PriceCard("USD", embeddings))
        assert refused.value.fields["component"] == "output"

    def test_an_unknown_tool_is_refused_by_name(self) -> None:
        with pytest.raises(PriceUnknown) as refused:
            rate(Usage(tool_calls=(tool_use("shell", 1),)), CARD)
        assert refused.value.fields == {"tool": "shell"}

    def test_a_currency_without_a_rate_is_refused(self) -> None:
        with pytest.raises(PriceUnknown) as refused:
            rate(CACHED, PriceCard("EUR", SONNET))
        assert refused.value.fields == {"currency": "USD/EUR"}

    def test_cached_audio_between_two_prices_is_refused(self) -> None:
        price = version({**GPT.components, "audio_input": million("40")})
        usage = Usage(10, cache_read_input_tokens=5, details=(("audio_input", 5), ("audio_cache_read", 5)))
        with pytest.raises(PriceUnknown):
            rate(usage, PriceCard("USD", price))

    def test_no_price_is_negative(self) -> None:
        with pytest.raises(PriceInvalid):
            ComponentPrice(-1)


class TestContext:
    BATCH = PriceVariant((("processing", "batch"),), {"input": million("1.5"), "output": million("7.5")})

    def test_a_batch_takes_the_price_of_batches(self) -> None:
        price = version(dict(SONNET.components), variants=(self.BATCH,))
        usage = Usage(input_tokens=1_000, context=(("processing", "batch"),))
        assert rate(usage, PriceCard("USD", price)).cost_units == units("0.0015")
        assert rate(usage, PriceCard("USD", price)).price_version == price.id

    @pytest.mark.parametrize(
        "context", [("service_tier", "batch"), ("tier", "flex"), ("processing", "night")]
    )
    def test_a_context_that_is_not_known_is_refused_not_ignored(self, context: tuple[str, str]) -> None:
        price = version(dict(SONNET.components), variants=(self.BATCH,))
        with pytest.raises(PriceUnknown):
            rate(Usage(input_tokens=1, context=(context,)), PriceCard("USD", price))

    def test_a_context_for_which_the_model_has_no_price_is_refused(self) -> None:
        with pytest.raises(PriceUnknown):
            rate(Usage(input_tokens=1, context=(("service_tier", "flex"),)), CARD)

    def test_the_default_tier_is_the_standard_price(self) -> None:
        usage = Usage(input_tokens=1_000, context=(("service_tier", "default"),))
        assert rate(usage, CARD).cost_units == units("0.003")


class TestCostAndCharge:
    MARKED_UP = PriceCard("USD", SONNET, markup=Markup(uuid4(), 200_000, START))
    OWN = version({"input": million("2"), "output": million("10")}, kind="override")

    def test_the_markup_makes_the_charge_and_leaves_the_cost(self) -> None:
        rated = rate(CACHED, self.MARKED_UP)
        assert (rated.cost_units, rated.charge_units) == (units("0.04455"), units("0.05346"))

    def test_an_own_price_is_charged_without_markup_while_the_cost_is_the_books(self) -> None:
        rated = rate(CACHED, msgspec.structs.replace(self.MARKED_UP, own=self.OWN))
        assert (rated.cost_units, rated.charge_units) == (units("0.04455"), units("0.04"))
        assert (rated.price_version, rated.cost_version) == (self.OWN.id, SONNET.id)

    def test_what_the_own_price_leaves_out_takes_the_book_with_markup(self) -> None:
        usage = Usage(input_tokens=1_000, tool_calls=(tool_use("web_search", 1),))
        rated = rate(usage, msgspec.structs.replace(self.MARKED_UP, own=self.OWN))
        assert rated.cost_units == units("0.013")
        assert rated.charge_units == units("0.002") + units("0.012")

    def test_on_the_customers_own_key_nothing_is_charged(self) -> None:
        rated = rate(CACHED, self.MARKED_UP, own_key=True)
        assert (rated.cost_units, rated.charge_units) == (units("0.04455"), 0)

    def test_an_amount_stated_by_the_caller_is_added_as_it_stands(self) -> None:
        rated = rate(CACHED, self.MARKED_UP, amount_units=units("0.05"))
        assert (rated.cost_units, rated.charge_units) == (units("0.09455"), units("0.10346"))

    def test_an_amount_alone_needs_no_price(self) -> None:
        rated = rate_amount(units("0.05"), currency="USD")
        assert (rated.cost_units, rated.charge_units, rated.price_version) == (
            units("0.05"),
            units("0.05"),
            None,
        )

    def test_the_parts_of_an_estimate_add_up(self) -> None:
        rated = estimate(
            CARD,
            input_tokens=1_800,
            max_output_tokens=900,
            tool_calls=(tool_use("web_search", 3),),
            amount_units=units("0.05"),
        )
        assert rated.charge_units == units("0.0189") + units("0.03") + units("0.05")


class TestExchangeRates:
    RATE = FxRate(uuid4(), "USD", "EUR", 9 * 10**11, START, markup_ppm=20_000)

    def test_the_cost_is_converted_and_the_charge_with_the_rates_markup(self) -> None:
        rated = rate(CACHED, PriceCard("EUR", SONNET, fx={"USD": self.RATE}))
        assert (rated.cost_units, rated.charge_units) == (units("0.040095"), units("0.0408969"))
        assert (rated.currency, rated.fx_rate) == ("EUR", self.RATE.id)

    def test_an_own_price_in_the_organizations_currency_is_not_converted(self) -> None:
        own = version({"input": million("2"), "output": million("10")}, currency="EUR", kind="contract")
        rated = rate(CACHED, PriceCard("EUR", SONNET, own=own, fx={"USD": self.RATE}))
        assert (rated.cost_units, rated.charge_units) == (units("0.040095"), units("0.04"))

    def test_both_markups_multiply_before_the_one_rounding(self) -> None:
        card = PriceCard("EUR", SONNET, fx={"USD": self.RATE}, markup=Markup(None, 200_000, START))
        assert rate(CACHED, card).charge_units == _half_up(
            Decimal("0.04455") * Decimal("1.2") * Decimal("0.918")
        )


class TestTools:
    def tool(self, pattern: str, amount: str, **changes: object) -> ToolPrice:
        price = ToolPrice(uuid4(), pattern, "call", int(Decimal(amount) * PICO), "USD", START)
        return replace(price, **changes)  # type: ignore[arg-type]

    def card(self, *prices: ToolPrice, own: tuple[ToolPrice, ...] = ()) -> PriceCard:
        return PriceCard(
            "USD",
            book_tools=ToolPriceList({price.pattern: price for price in prices}),
            own_tools=ToolPriceList({price.pattern: price for price in own}),
            markup=Markup(None, 500_000, START),
        )

    @pytest.mark.parametrize(
        ("name", "cost"),
        [("search", "1"), ("search_images", "2"), ("search_images_big", "3"), ("fetch", "4")],
    )
    def test_exact_name_then_longest_prefix_then_default(self, name: str, cost: str) -> None:
        card = self.card(
            self.tool("search_*", "2"),
            self.tool("*", "4"),
            self.tool("search", "1"),
            self.tool("search_images_*", "3"),
        )
        rated = rate(Usage(tool_calls=(tool_use(name, 1),)), card)
        assert rated.cost_units == units(cost)

    def test_a_tool_may_be_priced_per_second_or_per_unit(self) -> None:
        card = self.card(
            self.tool("sandbox", "0.01", unit="second"), self.tool("ocr", "1.5", unit="unit", per=1_000)
        )
        uses = (ToolUse("sandbox", 1, seconds=12_500_000_000_000), tool_use("ocr", 40))
        rated = rate(Usage(tool_calls=uses), card)
        assert lines(rated) == {"tool:sandbox": 125 * 10**9, "tool:ocr": 6 * 10**10}

    def test_a_quantity_that_was_not_measured_is_not_guessed(self) -> None:
        card = self.card(self.tool("sandbox", "0.01", unit="second"))
        with pytest.raises(PriceUnknown):
            rate(Usage(tool_calls=(ToolUse("sandbox", 1),)), card)

    def test_an_organizations_own_tool_price_is_its_charge(self) -> None:
        own = self.tool("search", "1.1")
        rated = rate(
            Usage(tool_calls=(tool_use("search", 2),)), self.card(self.tool("search", "1"), own=(own,))
        )
        assert (rated.cost_units, rated.charge_units) == (units("2"), units("2.2"))

    def test_a_call_of_a_tool_alone_names_the_tools_price(self) -> None:
        price = self.tool("search", "1")
        rated = rate(Usage(tool_calls=(tool_use("search", 1),)), self.card(price))
        assert rated.price_version == price.id
        assert rated.tool_versions == (("search", price.id),)


class TestWhichPriceHolds:
    ORGANIZATION = UUID(int=7)
    AT = datetime(2026, 6, 1, tzinfo=UTC)

    def pricing(self, *own: tuple[PriceVersion, ...], **changes: object) -> OrganizationPricing:
        pricing = OrganizationPricing("USD", own={("anthropic", "claude-sonnet-4-5"): own})
        return msgspec.structs.replace(pricing, **changes)

    def entry(self, *versions: PriceVersion) -> BookEntry:
        return BookEntry("anthropic", "claude-sonnet-4-5", versions)

    @pytest.mark.parametrize(
        ("moment", "inside"),
        [
            (AT - timedelta(microseconds=1), False),
            (AT, True),
            (AT + timedelta(days=30) - timedelta(microseconds=1), True),
            (AT + timedelta(days=30), False),
        ],
    )
    def test_an_own_price_holds_in_its_window_and_at_neither_edge_beyond(
        self, moment: datetime, inside: bool
    ) -> None:
        own = version({"input": million("1")}, valid_from=self.AT, valid_to=self.AT + timedelta(days=30))
        card = price_card(self.entry(SONNET), self.pricing((own,)), moment)
        assert card.own is (own if inside else None)

    def test_contract_comes_before_override_before_plan(self) -> None:
        contract, override, plan = (version({"input": million(price)}) for price in ("1", "2", "3"))
        lists = [(contract,), (override,), (plan,)]
        found = [
            price_card(self.entry(SONNET), self.pricing(*lists[skipped:]), self.AT).own
            for skipped in range(3)
        ]
        assert found == [contract, override, plan]

    def test_the_version_that_began_last_holds(self) -> None:
        newer = version({"input": million("4")}, valid_from=self.AT)
        entry = self.entry(SONNET, newer)
        before = price_card(entry, self.pricing(), self.AT - timedelta(microseconds=1))
        assert (before.book, before.until) == (SONNET, self.AT)
        assert price_card(entry, self.pricing(), self.AT).book is newer

    def test_before_the_first_version_there_is_no_price(self) -> None:
        card = price_card(self.entry(SONNET), self.pricing(), START - timedelta(days=1))
        with pytest.raises(PriceUnknown):
            rate(CACHED, card)

    def test_a_price_for_hours_of_the_day_holds_in_them(self) -> None:
        night = version({"input": million("1")}, daily=(16 * 3_600 + 1_800, 1_800))
        entry = self.entry(SONNET, night)
        times = [self.AT + timedelta(hours=hours) for hours in (0, 0.5, 12, 16.5, 23)]
        cards = [price_card(entry, self.pricing(), moment) for moment in times]
        assert [card.book for card in cards] == [night, SONNET, SONNET, night, night]
        assert [card.until for card in cards][1:4] == [
            self.AT + timedelta(hours=16.5),
            self.AT + timedelta(hours=16.5),
            self.AT + timedelta(hours=24.5),
        ]

    def test_markup_rate_and_tools_are_those_of_the_moment(self) -> None:
        pricing = self.pricing(
            markups=(Markup(None, 1, START), Markup(None, 2, self.AT)),
            fx={"EUR": (FxRate(uuid4(), "EUR", "USD", 5, START), FxRate(uuid4(), "EUR", "USD", 6, self.AT))},
            book_tools=(
                ToolPrice(uuid4(), "t", "call", 7, "USD", START),
                ToolPrice(uuid4(), "t", "call", 8, "USD", self.AT),
            ),
        )
        for moment, expected in ((START, (1, 5, 7)), (self.AT, (2, 6, 8))):
            card = price_card(self.entry(SONNET), pricing, moment)
            tool = card.book_tools.find("t")
            assert tool is not None
            assert (card.markup.ppm, card.fx["EUR"].rate, tool.amount) == expected

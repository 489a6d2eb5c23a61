"""Published prices, from the operation to what the gate's caches are filled with."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connections

from common.errors import (
    InvalidAmount,
    InvalidCurrency,
    InvalidField,
    InvalidPeriod,
    InvalidTransition,
    NotFound,
)
from common.ids import new_id
from orgs import PLATFORM_ID
from spend.operations.prices.ending import end_fx_rate, end_markup, end_price, end_tool_price
from spend.operations.prices.publish import publish_own_price, publish_price, publish_tool_price
from spend.operations.prices.rates import enter_fx_rate, set_markup
from spend.queries.prices import load_book_entry, load_organization_pricing, price_versions
from spend.rules.prices import BookEntry, PriceInvalid, PriceUnknown
from spend.rules.rating import PriceCard, Usage, price_card, rate
from spend.rules.toolprices import tool_use
from tests.integration.spend.prices.conftest import call, epoch, make_organization

USAGE = Usage(input_tokens=1_000, output_tokens=1_000)
ACTOR = "staff:1"


def publish(model: str, price: str = "3", **arguments: object) -> UUID:
    components = {"input": price, "output": {"amount": "15", "tiers": [[200_000, "22.5"]]}, "image": "0.04"}
    arguments = {"components": components, **arguments}
    return call(publish_price, actor=ACTOR, provider="acme", model=model, **arguments)


def book(model: str) -> BookEntry:
    entry = call(load_book_entry, provider="acme", model=model)
    assert entry is not None
    return entry


def card(model: str, organization: UUID, *, currency: str = "USD", at: datetime | None = None) -> PriceCard:
    pricing = call(load_organization_pricing, organization=organization, currency=currency)
    return price_card(book(model), pricing, at or datetime.now(UTC) + timedelta(seconds=1))


class TestTheBook:
    def test_a_published_price_rates_calls_from_now_on(self, model: str, organization: UUID) -> None:
        before = datetime.now(UTC) - timedelta(minutes=1)
        version = publish(model)
        rated = rate(USAGE, card(model, organization))
        assert (rated.cost_units, rated.price_version) == (1_800_000, version)
        with pytest.raises(PriceUnknown):
            rate(USAGE, card(model, organization, at=before))

    def test_a_later_price_takes_over_and_the_earlier_stays_readable(
        self, model: str, organization: UUID
    ) -> None:
        first = publish(model)
        change = datetime.now(UTC) + timedelta(days=3)
        second = publish(model, "4", valid_from=change)
        assert (
            rate(USAGE, card(model, organization, at=change - timedelta(microseconds=1))).price_version
            == first
        )
        assert rate(USAGE, card(model, organization, at=change)).price_version == second
        kept = call(price_versions, ids=[first])[first]
        assert kept.components["input"].amount == 3 * 10**12
        assert kept.components["output"].tiers == ((200_000, 22_500_000_000_000),)
        assert kept.components["image"].per == 1

    def test_an_ended_price_ends(self, model: str, organization: UUID) -> None:
        version = publish(model)
        end = datetime.now(UTC) + timedelta(hours=1)
        call(end_price, actor=ACTOR, price=version, valid_to=end)
        assert (
            rate(USAGE, card(model, organization, at=end - timedelta(microseconds=1))).price_version
            == version
        )
        with pytest.raises(PriceUnknown):
            rate(USAGE, card(model, organization, at=end))

    def test_a_price_cannot_end_in_the_past(self, model: str) -> None:
        version = publish(model)
        with pytest.raises(InvalidPeriod):
            call(end_price, actor=ACTOR, price=version, valid_to=datetime.now(UTC) - timedelta(days=1))

    def test_another_organizations_price_is_not_there(self, model: str, organization: UUID) -> None:
        version = publish(model)
        with pytest.raises(NotFound):
            call(end_price, actor=ACTOR, price=version, organization=organization)

    def test_names_are_found_without_regard_to_case_and_nothing_near_them(self, model: str) -> None:
        publish(model)
        assert book(model.upper()).model == model
        assert call(load_book_entry, provider="ACME", model=model) is not None
        assert call(load_book_entry, provider="acme", model=f"{model}-2") is None
        assert call(load_book_entry, provider="acme2", model=model) is None

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"components": {}}, PriceInvalid),
            ({"components": {"input": 3}}, InvalidAmount),
            ({"components": {"input": "-3"}}, InvalidAmount),
            ({"components": {"input": {"amount": "3", "tiers": [[5, "1"], [5, "2"]]}}}, PriceInvalid),
            ({"components": {"input": {"amount": "3", "every": 1}}}, PriceInvalid),
            ({"components": {"input": {"amount": "3", "per": 7}}}, PriceInvalid),
            ({"components": {"input": "9300000"}}, InvalidAmount),
            ({"components": {"": "3"}}, PriceInvalid),
            ({"currency": "XXX"}, InvalidCurrency),
            ({"valid_to": datetime(2020, 1, 1, tzinfo=UTC)}, InvalidPeriod),
        ],
    )
    def test_a_price_that_cannot_be_is_refused(
        self, model: str, arguments: dict[str, object], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            publish(model, **arguments)
        assert call(load_book_entry, provider="acme", model=model) is None

    def test_the_gate_sees_that_the_book_changed(self, model: str) -> None:
        before = epoch(PLATFORM_ID)
        publish(model)
        assert epoch(PLATFORM_ID) >= before + 2  # the model and its price; other tests may publish, too

    def test_the_gates_role_reads_prices_and_cannot_write_them(self, model: str) -> None:
        publish(model)
        connection = connections["gate"]
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM price_versions WHERE model = %s", (model,))
            assert cursor.fetchone() == (1,)
            with pytest.raises(Exception, match="permission denied"):
                cursor.execute("UPDATE price_versions SET model = 'x' WHERE model = %s", (model,))


class TestOwnPrices:
    OWN = {"input": "2", "output": "10"}

    def own(self, model: str, organization: UUID, **arguments: object) -> UUID:
        arguments = {"components": self.OWN, **arguments}
        return call(
            publish_own_price,
            actor=ACTOR,
            organization=organization,
            provider="acme",
            model=model,
            **arguments,
        )

    def test_an_override_is_charged_in_its_window_and_at_neither_edge_beyond(
        self, model: str, organization: UUID
    ) -> None:
        publish(model)
        start = datetime.now(UTC) + timedelta(days=1)
        end = start + timedelta(days=30)
        version = self.own(model, organization, valid_from=start, valid_to=end)
        moments = (start - timedelta(microseconds=1), start, end - timedelta(microseconds=1), end)
        rated = [rate(USAGE, card(model, organization, at=moment)) for moment in moments]
        assert [(r.cost_units, r.charge_units) for r in rated] == [
            (1_800_000, 1_800_000),
            (1_800_000, 1_200_000),
            (1_800_000, 1_200_000),
            (1_800_000, 1_800_000),
        ]
        assert rated[1].price_version == version

    def test_a_contract_comes_before_an_override_before_a_plan(self, model: str, organization: UUID) -> None:
        publish(model)
        for kind, price in (("plan", "1"), ("override", "2"), ("contract", "3")):
            version = self.own(model, organization, kind=kind, components={"input": price, "output": price})
            assert rate(USAGE, card(model, organization)).price_version == version
        lower = self.own(model, organization, kind="plan")
        assert rate(USAGE, card(model, organization)).price_version not in (lower,)

    def test_an_own_price_is_nobody_elses(self, model: str, organization: UUID) -> None:
        publish(model)
        self.own(model, organization)
        assert rate(USAGE, card(model, make_organization())).charge_units == 1_800_000

    def test_it_raises_the_organizations_epoch_and_not_the_platforms(
        self, model: str, organization: UUID
    ) -> None:
        publish(model)
        before = epoch(organization)
        self.own(model, organization)
        assert epoch(organization) == before + 1

    def test_a_model_that_the_book_does_not_have_cannot_be_overridden(
        self, model: str, organization: UUID
    ) -> None:
        with pytest.raises(PriceUnknown):
            self.own(model, organization)

    def test_a_price_of_tokens_states_both_directions(self, model: str, organization: UUID) -> None:
        publish(model)
        with pytest.raises(PriceInvalid):
            self.own(model, organization, components={"input": "2"})

    def test_only_three_kinds_of_own_prices_exist(self, model: str, organization: UUID) -> None:
        publish(model)
        with pytest.raises(InvalidField):
            self.own(model, organization, kind="book")

    def test_an_unknown_organization_is_not_there(self, model: str) -> None:
        publish(model)
        with pytest.raises(NotFound):
            self.own(model, new_id())


class TestMarkupsRatesAndTools:
    def test_an_organizations_markup_is_charged_on_the_books_price(
        self, model: str, organization: UUID
    ) -> None:
        publish(model)
        call(set_markup, actor=ACTOR, organization=organization, ppm=250_000, reason="standard")
        rated = rate(USAGE, card(model, organization))
        assert (rated.cost_units, rated.charge_units) == (1_800_000, 2_250_000)

    @pytest.mark.parametrize("ppm", [-1, 10**9 + 1, True])
    def test_a_markup_has_bounds(self, organization: UUID, ppm: int) -> None:
        with pytest.raises(InvalidField):
            call(set_markup, actor=ACTOR, organization=organization, ppm=ppm)

    def test_an_organization_in_another_currency_needs_a_rate(self, model: str) -> None:
        publish(model)
        organization = make_organization("CZK")
        with pytest.raises(PriceUnknown):
            rate(USAGE, card(model, organization, currency="CZK"))
        rate_id = call(enter_fx_rate, actor=ACTOR, base="USD", quote="CZK", rate="22.5", markup_ppm=10_000)
        rated = rate(USAGE, card(model, organization, currency="CZK"))
        assert (rated.cost_units, rated.charge_units) == (40_500_000, 40_905_000)
        assert rated.fx_rate == rate_id

    @pytest.mark.parametrize(
        ("base", "quote", "rate_text", "error"),
        [
            ("USD", "USD", "1", InvalidField),
            ("USD", "PLN", "0", InvalidAmount),
            ("USD", "PLN", "9999999", InvalidAmount),
            ("usd", "PLN", "4", InvalidCurrency),
        ],
    )
    def test_a_rate_that_cannot_be_is_refused(
        self, base: str, quote: str, rate_text: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            call(enter_fx_rate, actor=ACTOR, base=base, quote=quote, rate=rate_text)

    def test_tools_have_prices_of_the_book_and_of_an_organization(
        self, model: str, organization: UUID
    ) -> None:
        tool = f"{model}-tool"
        publish(model)
        call(publish_tool_price, actor=ACTOR, pattern=f"{model}-*", amount="0.5", currency="USD")
        own = call(publish_tool_price, actor=ACTOR, pattern=tool, amount="0.75", organization=organization)
        usage = Usage(tool_calls=(tool_use(tool, 2),))
        rated = rate(usage, card(model, organization))
        assert (rated.cost_units, rated.charge_units) == (100_000_000, 150_000_000)
        end = datetime.now(UTC) + timedelta(hours=1)
        call(end_tool_price, actor=ACTOR, price=own, valid_to=end, organization=organization)
        assert rate(usage, card(model, organization, at=end)).charge_units == 100_000_000

    def test_a_markup_and_a_rate_end_and_what_has_not_begun_never_begins(
        self, model: str, organization: UUID
    ) -> None:
        publish(model)
        end, ahead = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(days=9)
        markup = call(set_markup, actor=ACTOR, organization=organization, ppm=250_000)
        call(end_markup, actor=ACTOR, markup=markup, organization=organization, valid_to=end)
        later = call(set_markup, actor=ACTOR, organization=organization, ppm=500_000, valid_from=ahead)
        call(end_markup, actor=ACTOR, markup=later, organization=organization)
        charges = [rate(USAGE, card(model, organization, at=at)).charge_units for at in (end, ahead)]
        assert charges == [1_800_000, 1_800_000]
        assert rate(USAGE, card(model, organization)).charge_units == 2_250_000
        with pytest.raises(NotFound):
            call(end_markup, actor=ACTOR, markup=markup)
        found = call(enter_fx_rate, actor=ACTOR, base="USD", quote="HUF", rate="350")
        call(end_fx_rate, actor=ACTOR, rate=found)
        with pytest.raises(InvalidTransition):
            call(end_fx_rate, actor=ACTOR, rate=found)

    @pytest.mark.parametrize("arguments", [{"pattern": "a*b"}, {"pattern": ""}, {"unit": "hour"}, {"per": 0}])
    def test_a_tool_price_that_cannot_be_is_refused(self, arguments: dict[str, object]) -> None:
        with pytest.raises(InvalidField):
            call(publish_tool_price, **{"actor": ACTOR, "pattern": "x", "amount": "1", **arguments})


def test_a_version_of_a_stream_exists_once(model: str) -> None:
    version = publish(model)
    end = datetime.now(UTC) + timedelta(hours=1)
    call(end_price, actor=ACTOR, price=version, valid_to=end)
    call(end_price, actor=ACTOR, price=version, valid_to=end + timedelta(hours=1))
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT version, type FROM events WHERE stream_id = %s ORDER BY version", (version,))
        assert cursor.fetchall() == [(1, "price.published"), (2, "price.ended"), (3, "price.ended")]

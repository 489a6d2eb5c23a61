"""Importing a price source: new models at once, changed prices after a person has agreed."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command

from common.errors import InvalidField, InvalidTransition, NotFound
from events.store import Cursor
from orgs import PLATFORM_ID
from spend.operations.prices.deciding import approve_price_change, reject_price_change
from spend.operations.prices.genai_source import (
    BEGINNING,
    PriceSource,
    SourceModel,
    SourceVersion,
    read_source,
)
from spend.operations.prices.importing import ImportReport, import_prices
from spend.operations.prices.publish import publish_price
from spend.queries.prices import load_book_entry, load_organization_pricing
from spend.rules.prices import ComponentPrice
from spend.rules.rating import Usage, price_card, rate
from tests.integration.spend.prices.conftest import call, epoch

MILLION = Usage(input_tokens=1_000_000)
USD = 10**8


def version(price: int, valid_from: datetime = BEGINNING) -> SourceVersion:
    return SourceVersion(valid_from, None, {"input": ComponentPrice(price * 10**12)})


def source(*models: SourceModel, release: str = "1.0", name: str = "test-source") -> PriceSource:
    return PriceSource(name, release, {model.provider: () for model in models}, models)


def a_model(name: str, *versions: SourceVersion, position: int = 0, **changes: Any) -> SourceModel:
    found = SourceModel("acme", name, position, {"starts_with": name}, 128_000, False, versions)
    return replace(found, **changes)


def bring(*models: SourceModel, release: str = "1.0", dry_run: bool = False) -> ImportReport:
    return call(import_prices, actor="system:test", source=source(*models, release=release), dry_run=dry_run)


def cost(name: str, at: datetime | None = None) -> int:
    entry = call(load_book_entry, provider="acme", model=name)
    pricing = call(load_organization_pricing, organization=PLATFORM_ID, currency="USD")
    return rate(
        MILLION, price_card(entry, pricing, at or datetime.now(UTC) + timedelta(seconds=1))
    ).cost_units


def change_of(name: str, status: str = "proposed") -> UUID:
    def read(cur: Cursor) -> UUID:
        cur.execute("SELECT id FROM price_changes WHERE model = %s AND status = %s", (name, status))
        ((found,),) = cur.fetchall()
        return UUID(str(found))

    return call(read)


class TestNewModels:
    def test_they_are_taken_at_once_with_their_dated_history(self, model: str) -> None:
        raised = datetime(2026, 3, 1, tzinfo=UTC)
        report = bring(a_model(model, version(2), version(3, raised)))
        assert (report.new_models, report.new_versions) == ([f"acme/{model}"], 2)
        assert [cost(model, at) for at in (raised - timedelta(seconds=1), raised)] == [2 * USD, 3 * USD]

    def test_a_dated_release_is_its_model(self, model: str) -> None:
        bring(a_model(model, version(2)))
        assert cost(f"{model}-20260101") == 2 * USD

    def test_importing_again_changes_nothing(self, model: str) -> None:
        bring(a_model(model, version(2)))
        before = epoch(PLATFORM_ID)
        report = bring(a_model(model, version(2)), release="1.1")
        assert (report.unchanged, report.new_models, report.proposed) == (1, [], [])
        assert epoch(PLATFORM_ID) == before

    def test_a_dry_run_writes_nothing(self, model: str) -> None:
        report = bring(a_model(model, version(2)), dry_run=True)
        assert report.new_models == [f"acme/{model}"]
        assert call(load_book_entry, provider="acme", model=model) is None

    def test_a_model_without_a_price_is_known_and_shadows_looser_names(self, model: str) -> None:
        report = bring(a_model(f"{model}-free"), a_model(model, version(2), position=1))
        assert report.unpriced == [f"acme/{model}-free"]
        entry = call(load_book_entry, provider="acme", model=f"{model}-free-1")
        assert entry is not None
        assert (entry.model, entry.versions) == (f"{model}-free", ())


class TestChangedPrices:
    def test_they_wait_and_hold_only_after_approval_and_never_backwards(self, model: str) -> None:
        bring(a_model(model, version(2)))
        report = bring(a_model(model, version(5)), release="1.1")
        assert report.proposed == [f"acme/{model}"]
        assert cost(model) == 2 * USD
        before = datetime.now(UTC)
        call(approve_price_change, actor="staff:7", change=change_of(model))
        assert cost(model) == 5 * USD
        assert cost(model, before - timedelta(seconds=1)) == 2 * USD

    def test_what_the_source_dates_ahead_holds_from_its_date(self, model: str) -> None:
        ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)
        bring(a_model(model, version(2)))
        bring(a_model(model, version(2), version(5, ahead)), release="1.1")
        call(approve_price_change, actor="staff:7", change=change_of(model))
        assert [cost(model), cost(model, ahead)] == [2 * USD, 5 * USD]

    def test_after_approval_the_source_and_the_book_agree(self, model: str) -> None:
        bring(a_model(model, version(2)))
        bring(a_model(model, version(5)))
        call(approve_price_change, actor="staff:7", change=change_of(model))
        assert bring(a_model(model, version(5))).unchanged == 1

    def test_a_proposal_is_made_once(self, model: str) -> None:
        bring(a_model(model, version(2)))
        bring(a_model(model, version(5)))
        report = bring(a_model(model, version(5)))
        assert (report.proposed, report.waiting) == ([], [f"acme/{model}"])

    def test_a_newer_proposal_takes_the_place_of_the_older(self, model: str) -> None:
        bring(a_model(model, version(2)))
        bring(a_model(model, version(5)))
        older = change_of(model)
        bring(a_model(model, version(6)))
        assert change_of(model, "superseded") == older
        with pytest.raises(InvalidTransition):
            call(approve_price_change, actor="staff:7", change=older)
        call(approve_price_change, actor="staff:7", change=change_of(model))
        assert cost(model) == 6 * USD

    def test_a_rejected_one_is_not_proposed_again(self, model: str) -> None:
        bring(a_model(model, version(2)))
        bring(a_model(model, version(5)))
        change = change_of(model)
        call(reject_price_change, actor="staff:7", change=change, reason="a typing error of the source")
        assert bring(a_model(model, version(5))).unchanged == 1
        assert cost(model) == 2 * USD
        with pytest.raises(InvalidTransition):
            call(approve_price_change, actor="staff:7", change=change)

    def test_a_rejection_has_a_reason(self, model: str) -> None:
        bring(a_model(model, version(2)))
        bring(a_model(model, version(5)))
        with pytest.raises(InvalidField):
            call(reject_price_change, actor="staff:7", change=change_of(model), reason=" ")

    def test_an_unknown_change_is_not_there(self) -> None:
        with pytest.raises(NotFound):
            call(approve_price_change, actor="staff:7", change=uuid4())

    def test_names_and_limits_are_taken_at_once(self, model: str) -> None:
        bring(a_model(model, version(2)))
        report = bring(a_model(model, version(2), context_window=256_000))
        assert report.renamed == [f"acme/{model}"]
        entry = call(load_book_entry, provider="acme", model=model)
        assert entry is not None
        assert entry.context_window == 256_000

    def test_prices_published_by_hand_are_left_alone(self, model: str) -> None:
        call(publish_price, actor="staff:1", provider="acme", model=model, components={"input": "9"})
        report = bring(a_model(model, version(2)))
        assert (report.unchanged, report.proposed) == (1, [])
        assert cost(model) == 9 * USD


@pytest.mark.usefixtures("private_database")
class TestTheWholeSource:
    def test_the_installed_package_is_taken_and_taken_once(self) -> None:
        output = io.StringIO()
        call_command("import_prices", "--json", stdout=output)
        first = json.loads(output.getvalue())
        assert len(first["new_models"]) > 2_000
        assert first["left_out"] == {}
        assert (first["proposed"], first["gone"]) == ([], [])
        output = io.StringIO()
        call_command("import_prices", stdout=output)
        assert "0 new models with 0 prices" in output.getvalue()

    def test_what_waits_is_listed_with_what_would_change_and_where_to_decide(self, model: str) -> None:
        bring(a_model(model, version(2)))
        bring(a_model(model, version(5)))
        change, output, data = change_of(model), io.StringIO(), io.StringIO()
        call_command("price_changes", stdout=output)
        call_command("price_changes", "--json", stdout=data)
        assert f"{change}  acme/{model}" in output.getvalue()
        assert "input: 2 per 1,000,000 -> 5 per 1,000,000" in output.getvalue()
        assert "POST /v1/price-changes/<id>/approve" in output.getvalue()
        assert [row["id"] for row in json.loads(data.getvalue())] == [str(change)]
        call(reject_price_change, actor="staff:7", change=change, reason="no")
        output = io.StringIO()
        call_command("price_changes", stdout=output)
        assert output.getvalue() == "0 price changes wait for a decision.\n"

    def test_models_are_found_as_callers_spell_them(self) -> None:
        names = {"anthropic/claude-sonnet-4-5", "openai/gpt-5", "google/gemini-2.5-pro"}
        call(import_prices, actor="system:test", source=read_source(), only=names)
        for provider, asked, model in (
            ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
            ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ):
            entry = call(load_book_entry, provider=provider, model=asked)
            assert entry is not None
            assert entry.model == model
        assert call(load_book_entry, provider="anthropic", model="claude-opus-4-6") is None

    def test_a_provider_sells_the_models_of_those_that_it_names(self) -> None:
        names = {"openai/gpt-5", "azure/gpt-35-turbo"}
        found = read_source()
        azure = next(model for model in found.models if model.provider == "azure")
        call(import_prices, actor="system:test", source=found, only={*names, f"azure/{azure.model}"})
        entry = call(load_book_entry, provider="azure", model="gpt-5")
        assert entry is not None
        assert (entry.provider, entry.model) == ("openai", "gpt-5")

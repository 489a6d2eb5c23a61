"""Charges as JSON: read strictly, every mistake named, written back as they were."""

from fractions import Fraction
from typing import Any

import pytest

from billing.rules.charges.definition import FAMILIES, parse_charge, write_charge
from common.errors import ProblemError

TIERS = [{"up_to": "10", "unit_price": "0.5", "flat": "2"}, {"up_to": None, "unit_price": "0.000000000001"}]
PERCENT_TIERS = [{"up_to": "10", "rate": "1.5"}, {"up_to": None, "rate": "0", "flat": "2"}]
DEFINITIONS: list[dict[str, Any]] = [
    {"model": "flat", "amount": "9"},
    {"model": "flat", "amount": "0"},
    {"model": "per_unit", "unit_price": "0.01", "included": "1000", "minimum": "5", "maximum": "5"},
    {"model": "per_unit", "unit_price": "3", "per": "1000000", "usage_discount": "0.5"},
    {"model": "graduated", "tiers": TIERS, "flat_fee_at_zero": True, "discount_percent": "12.5"},
    {"model": "volume", "tiers": TIERS, "maximum": "0"},
    {"model": "package", "size": "10", "price": "15", "included": "3"},
    {
        "model": "blocks",
        "mode": "all_tiers",
        "tiers": [{"size": "5", "price": "1", "blocks": "10"}, {"size": "7", "price": "2", "blocks": None}],
    },
    {"model": "blocks", "mode": "top_tier", "tiers": [{"size": "1", "price": "1", "blocks": None}]},
    {"model": "percentage", "rate": "2.99"},
    {
        "model": "percentage",
        "rate": "100",
        "fixed": "0.3",
        "event_minimum": "1",
        "event_maximum": "2",
        "free_volume": "10",
        "free_events": 3,
    },
    {"model": "graduated_percentage", "tiers": PERCENT_TIERS},
    {"model": "dynamic", "multiplier": "1.2"},
    {
        "model": "tokens",
        "prices": [
            {"models": "claude-*", "per": "1000000", "components": {"input": "3", "output": "15"}},
            {"models": "*", "per": "1", "components": {"input": "0"}},
        ],
    },
]


def mistakes(document: object, pointer: str = "") -> dict[str, str]:
    """Code by pointer of everything that is wrong."""
    with pytest.raises(ProblemError) as caught:
        parse_charge(document, pointer=pointer)
    return {error.pointer: error.code for error in caught.value.errors}


class TestADefinition:
    @pytest.mark.parametrize("document", DEFINITIONS)
    def test_is_written_as_it_was_read(self, document: dict[str, Any]) -> None:
        definition = parse_charge(document)
        assert parse_charge(write_charge(definition)) == definition
        written = write_charge(definition)
        given = {name: value for name, value in document.items() if name != "tiers"}
        assert {name: value for name, value in written.items() if name != "tiers"} == given
        for tier, shown in zip(document.get("tiers", []), written.get("tiers", []), strict=True):
            assert tier.items() <= shown.items()

    def test_of_every_family_is_tried_here(self) -> None:
        assert {document["model"] for document in DEFINITIONS} == FAMILIES.keys()

    @pytest.mark.parametrize("family", sorted(FAMILIES))
    def test_needs_its_fields(self, family: str) -> None:
        assert mistakes({"model": family})

    def test_lists_every_mistake_by_pointer(self) -> None:
        document = {
            "model": "graduated",
            "tiers": [{"up_to": "10", "unit_price": 10}, {"up_to": "5", "price": "1", "flat": "-1"}],
            "included": "-1",
            "minimum": "60",
            "maximum": "50",
            "flat_fee_at_zero": "yes",
            "colour": "red",
        }
        assert mistakes(document, pointer="/charges/0/prices/USD") == {
            "/charges/0/prices/USD/colour": "unknown_field",
            "/charges/0/prices/USD/tiers/0/unit_price": "invalid_amount",
            "/charges/0/prices/USD/tiers/1/price": "unknown_field",
            "/charges/0/prices/USD/tiers/1/flat": "invalid_amount",
            "/charges/0/prices/USD/tiers/1/up_to": "invalid_field",
            "/charges/0/prices/USD/included": "invalid_quantity",
            "/charges/0/prices/USD/flat_fee_at_zero": "invalid_field",
            "/charges/0/prices/USD/maximum": "invalid_field",
        }

    @pytest.mark.parametrize(
        ("document", "pointer"),
        [
            (None, ""),
            ([], ""),
            ({}, "/model"),
            ({"model": "stairs"}, "/model"),
            ({"model": ["flat"]}, "/model"),
            ({"model": None}, "/model"),
            ({"model": "flat", "amount": 9}, "/amount"),
            ({"model": "flat", "amount": "0.123456789"}, "/amount"),
            ({"model": "flat", "amount": "9", "included": "1"}, "/included"),
            ({"model": "flat", "amount": "9", "discount_percent": "100.1"}, "/discount_percent"),
            ({"model": "tokens", "prices": [], "flat_fee_at_zero": False}, "/flat_fee_at_zero"),
            ({"model": "per_unit", "unit_price": "1", "per": "0"}, "/per"),
            ({"model": "package", "size": "0", "price": "1"}, "/size"),
            ({"model": "percentage", "rate": "101"}, "/rate"),
            (
                {"model": "percentage", "rate": "1", "event_minimum": "2", "event_maximum": "1"},
                "/event_maximum",
            ),
            ({"model": "percentage", "rate": "1", "free_events": "3"}, "/free_events"),
            ({"model": "dynamic", "multiplier": "1000.5"}, "/multiplier"),
            ({"model": "dynamic", "multiplier": "1e2"}, "/multiplier"),
        ],
    )
    def test_with_a_wrong_field_is_refused(self, document: object, pointer: str) -> None:
        assert pointer in mistakes(document)


class TestTiers:
    @pytest.mark.parametrize(
        ("bounds", "wrong"),
        [
            (["10", "20", None], []),
            ([None], []),
            (["10"], [0]),
            ([None, None], [0]),
            (["10", "10", None], [1]),
            (["10", "5", None], [1]),
            (["0", None], [0]),
            (["10", None, "5", "20"], [1, 3]),
            (["ten", "5", None], [0]),
        ],
    )
    def test_rise_and_the_last_alone_has_no_end(self, bounds: list[str | None], wrong: list[int]) -> None:
        document = {"model": "volume", "tiers": [{"up_to": bound, "unit_price": "1"} for bound in bounds]}
        found = mistakes(document) if wrong else {}
        assert sorted(found) == [f"/tiers/{place}/up_to" for place in wrong]
        assert wrong or parse_charge(document)

    @pytest.mark.parametrize("tiers", [None, [], {}, "x", [{"unit_price": "1"}] * 101])
    def test_are_a_list_of_one_to_a_hundred(self, tiers: object) -> None:
        assert mistakes({"model": "graduated", "tiers": tiers}) == {"/tiers": "invalid_field"}
        assert mistakes({"model": "blocks", "tiers": tiers}) == {"/tiers": "invalid_field"}

    def test_are_objects(self) -> None:
        assert mistakes({"model": "graduated", "tiers": ["x", None]}) == {
            "/tiers/0": "invalid_field",
            "/tiers/1": "invalid_field",
        }

    def test_of_blocks_are_counted_in_whole_blocks(self) -> None:
        tiers = [{"size": "5", "price": "1", "blocks": "1.5"}, {"size": "5", "price": "1"}]
        assert mistakes({"model": "blocks", "tiers": tiers}) == {"/tiers/0/blocks": "invalid_quantity"}

    def test_of_blocks_need_not_rise(self) -> None:
        tiers = [{"size": "5", "price": "1", "blocks": b} for b in ("10", "3", None)]
        assert parse_charge({"model": "blocks", "tiers": tiers})


class TestATableOfTokenPrices:
    def test_is_refused_with_every_mistake(self) -> None:
        good = {"input": "1"}
        prices = [
            {"models": "Claude-*", "components": good},
            {"models": "claude-*", "components": good},
            {"models": "*-mini", "components": good},
            {"models": "a", "components": {}},
            {"models": "b", "components": {"Input": "1", "output": 2}},
            {"models": "c", "components": [], "per": "0"},
            {"components": good},
        ]
        assert mistakes({"model": "tokens", "prices": prices}) == {
            "/prices/1/models": "invalid_field",
            "/prices/2/models": "invalid_field",
            "/prices/3/components": "invalid_field",
            "/prices/4/components/Input": "invalid_field",
            "/prices/4/components/output": "invalid_amount",
            "/prices/5/components": "invalid_field",
            "/prices/5/per": "invalid_quantity",
            "/prices/6/models": "invalid_field",
        }


def test_numbers_are_exact() -> None:
    definition = parse_charge({"model": "percentage", "rate": "2.99", "discount_percent": "0.000000000001"})
    assert definition.discount == Fraction(1, 10**14)

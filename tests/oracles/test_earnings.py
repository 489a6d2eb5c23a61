"""Worked examples of the marketplace, one case per id."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payouts.rules.collecting import Collection, Fraction, InvoiceFigures, Moved, Pair, settle
from spend.rules.splits import Party, SplitRule, pool_of

NOW = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)
ONE = 10**8


def rule(fee: int, *weights: int, minimum: int = 0, fixed: int | None = None) -> SplitRule:
    parties = tuple(Party(str(place), weight, "") for place, weight in enumerate(weights))
    return SplitRule("r", NOW, fee, minimum, fixed, True, parties)


SHARES = [
    pytest.param(rule(200_000, 1), ONE, [80_000_000], id="S98-default-fee-20-percent"),
    pytest.param(rule(200_000, 1), 1, [1], id="S97-one-unit"),
    pytest.param(rule(200_000, 1), 3, [2], id="S97-three-units"),
    pytest.param(rule(200_000, 1), 1_234_567, [987_654], id="S97-sub-cent"),
    pytest.param(rule(0, 1, 1, 1), 100, [34, 33, 33], id="S97-three-partners"),
    pytest.param(rule(100_000, 2, 1), 10, [6, 3], id="S97-weights"),
    pytest.param(rule(200_000, 1, minimum=30_000_000), ONE, [70_000_000], id="minimum-fee"),
    pytest.param(rule(200_000, 1, minimum=2 * ONE), ONE, [0], id="minimum-fee-above-the-charge"),
    pytest.param(rule(0, 1, fixed=25_000_000), ONE, [25_000_000], id="fixed"),
    pytest.param(rule(0, 1, fixed=2 * ONE), ONE, [ONE], id="fixed-above-the-charge"),
    pytest.param(replace(rule(200_000, 1), withheld=1), ONE, [40_000_000], id="of-a-party-that-calls"),
    pytest.param(replace(rule(0, 1, fixed=3), withheld=2), ONE, [1], id="fixed-of-a-party-that-calls"),
    pytest.param(
        replace(rule(0, 1, minimum=40_000_000), withheld=1),
        ONE,
        [30_000_000],
        id="minimum-of-a-party-that-calls",
    ),
]


@pytest.mark.parametrize(("chosen", "charge", "expected"), SHARES)
def test_a_charge_is_shared(chosen: SplitRule, charge: int, expected: list[int]) -> None:
    assert pool_of(chosen, charge) == expected


def moved_after(age: timedelta, holdback: int = 7) -> list[Moved]:
    hour = (NOW - age).replace(minute=0)
    collections = [Collection("p", "grant:g", hour, 500, matured=False)]
    pair = Pair("p", 0, 0, timedelta(days=holdback))
    return settle([], {}, collections, [pair], now=NOW).moved


AGES = [
    pytest.param(timedelta(days=6, hours=23), False, id="Z4-younger-than-7-days"),
    pytest.param(timedelta(days=7), False, id="Z4-in-the-hour"),
    pytest.param(timedelta(days=7, hours=1), True, id="Z4-older-than-7-days"),
]


@pytest.mark.parametrize(("age", "is_moved"), AGES)
def test_an_earning_is_available_after_the_holdback(age: timedelta, is_moved: bool) -> None:
    assert [move.amount for move in moved_after(age)] == ([500] if is_moved else [])


INVOICES = [
    pytest.param(InvoiceFigures("open", 100, 0, 0, 0), (0, 0), id="S99-unpaid"),
    pytest.param(InvoiceFigures("open", 100, 25, 0, 0), (20, 0), id="S99-a-quarter"),
    pytest.param(InvoiceFigures("paid", 100, 100, 0, 0), (80, 0), id="S99-paid"),
    pytest.param(InvoiceFigures("open", 100, 0, 50, 0), (0, 40), id="S100-half-credited"),
    pytest.param(InvoiceFigures("paid", 100, 50, 50, 0), (40, 40), id="S100-half-given-back"),
    pytest.param(InvoiceFigures("uncollectible", 100, 25, 0, 75), (20, 60), id="S100-written-off"),
    pytest.param(InvoiceFigures("paid", 0, 0, 0, 0), (80, 0), id="nothing-to-pay"),
    pytest.param(InvoiceFigures("open", 3, 1, 0, 0), (26, 0), id="cut-down"),
]


@pytest.mark.parametrize(("figures", "expected"), INVOICES)
def test_an_invoice_brings_a_share_of_80(figures: InvoiceFigures, expected: tuple[int, int]) -> None:
    assert figures.fraction().of(80) == expected


def test_what_was_collected_and_lost_is_all_where_nothing_is_left_to_pay() -> None:
    assert [Fraction(1, 2, 3).of(share) for share in (1, 2, 100)] == [(0, 1), (0, 2), (33, 67)]

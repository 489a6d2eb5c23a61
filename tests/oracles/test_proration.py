"""Worked examples of proration: billing_oracles, section 6."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from billing.rules.periods import Cycle, Interval
from billing.rules.proration import (
    NewFee,
    RunningFee,
    change_fees,
    end_fees,
    net_of_discount,
    span_share,
    unused_share,
    used_share,
)
from billing.rules.rounding import round_to_document
from billing.rules.tax import TaxableLine, TaxedDocument, Treatment, tax_document

MINOR = 1_000_000
TWENTY = Treatment(Fraction(20, 100), "S", "FR")


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def cycle(anchor: str, *, unit: str = "month", start: str | None = None) -> Cycle:
    return Cycle(
        datetime.fromisoformat(anchor), Interval(unit), "UTC", starts_at=at(start) if start else None
    )


def minor(amount: int) -> int:
    assert amount % MINOR == 0
    return amount // MINOR


def with_tax(net: int) -> TaxedDocument:
    return tax_document([TaxableLine("fee", net, TWENTY)], currency="EUR")


@pytest.mark.parametrize(
    ("case", "anchor", "start", "end", "expected"),
    [
        ("R1", "2023-05-15", "2023-05-23", "2023-06-15", Fraction(23, 31)),
        ("R3", "2023-02-15", "2023-02-23", "2023-03-15", Fraction(20, 28)),
        ("R5", "2011-02-13", "2011-02-01", "2011-02-13", Fraction(12, 31)),
        ("R6", "2011-02-01", "2011-02-01", "2011-02-14", Fraction(13, 28)),
        ("R8", "2011-02-10", "2011-02-10", "2011-02-24", Fraction(1, 2)),
    ],
)
def test_days_count_over_those_of_the_anchor_period(
    case: str, anchor: str, start: str, end: str, expected: Fraction
) -> None:
    period = cycle(anchor, start=start).period(0)
    assert span_share(period, at(start), at(end), basis="per_day") == expected


@pytest.mark.parametrize(
    ("case", "share", "nine_decimals"),
    [("R1", Fraction(23, 31), 741_935_484), ("R3", Fraction(20, 28), 714_285_714)],
)
def test_a_factor_is_shown_with_nine_decimals(case: str, share: Fraction, nine_decimals: int) -> None:
    assert round(share * 10**9) == nine_decimals


def test_r5_a_stub_and_one_whole_period_are_billed_up_to_the_bill_day() -> None:
    billed = list(cycle("2011-02-13", start="2011-02-01").started_by(at("2011-02-13")))
    shares = [span_share(period, period.start, period.end, basis="per_day") for period in billed]
    assert shares == [Fraction(12, 31), 1]


@pytest.mark.parametrize(("case", "start"), [("R9", "2023-05-15"), ("R9-june", "2023-06-15")])
def test_a_month_of_thirty_days_costs_the_same_in_every_month(case: str, start: str) -> None:
    """Convention: `fixed_30`."""
    period = cycle("2023-05-23", start=start).period(0)
    share = span_share(period, period.start, period.end, basis="fixed_30")
    assert share == Fraction(8, 30)
    assert minor(round_to_document(1995 * MINOR * share, currency="USD")) == 532


@pytest.mark.parametrize(
    ("case", "basis", "day_counts_as_used", "credit"),
    [("R11", "fixed_30", False, -532), ("R11-house", "per_day", True, -466)],
)
def test_a_termination_credits_the_days_that_are_left(
    case: str, basis: str, day_counts_as_used: bool, credit: int
) -> None:
    (line,) = end_fees(
        [RunningFee("plan", 1995 * MINOR, billed=1995 * MINOR)],
        period=cycle("2023-04-23").period(0),
        at=at("2023-05-15"),
        basis=basis,
        currency="USD",
        day_counts_as_used=day_counts_as_used,
    )
    assert minor(line.amount) == credit


@pytest.mark.parametrize(
    ("case", "unit", "start", "day", "prices", "interval", "expected"),
    [
        ("R20", "month", "2025-06-01", "2025-06-16", (10_000, 30_000), None, (5_000, 15_000)),
        ("R22", "month", "2024-02-18", "2024-02-25", (10_000, 30_000), None, (7_586, 22_759)),
        ("R23", "year", "2024-08-01", "2024-10-01", (100_000, 300_000), None, (83_288, 249_863)),
        ("R25", "year", "2023-02-18", "2023-09-05", (100_000, 300_000), None, (45_479, 136_438)),
        ("R26", "month", "2025-06-01", "2025-06-16", (10_000, 100_000), Interval("year"), (5_000, 100_000)),
        ("R29", "month", "2025-06-01", "2025-06-02", (500, 2_000), None, (483, 1_933)),
        ("R32", "month", "2025-06-01", "2025-06-16", (1_000, 2_000), None, (500, 1_000)),
    ],
)
def test_a_change_credits_the_old_and_charges_the_new_by_the_second(
    case: str,
    unit: str,
    start: str,
    day: str,
    prices: tuple[int, int],
    interval: Interval | None,
    expected: tuple[int, int],
) -> None:
    old, new = (price * MINOR for price in prices)
    change = change_fees(
        [RunningFee("plan", old, billed=old)],
        [NewFee("plan", new)],
        cycle=cycle(start, unit=unit, start=start),
        at=at(day),
        mode="invoice",
        basis="per_second",
        currency="USD",
        interval=interval,
    )
    assert tuple(abs(minor(line.amount)) for line in change.lines) == expected
    assert change.lines[0].amount < 0 < change.lines[1].amount


def test_r29_the_net_of_both_is_what_is_billed() -> None:
    change = change_fees(
        [RunningFee("plan", 500 * MINOR, billed=500 * MINOR)],
        [NewFee("plan", 2_000 * MINOR)],
        cycle=cycle("2025-06-01", start="2025-06-01"),
        at=at("2025-06-02"),
        mode="invoice",
        basis="per_second",
        currency="USD",
    )
    assert minor(sum(line.amount for line in change.lines)) == 1_450


def test_r30_a_discount_is_spread_before_it_is_credited() -> None:
    fixed, seat = net_of_discount([10_000 * MINOR, 20_000 * MINOR], 9_000 * MINOR, currency="USD")
    change = change_fees(
        [RunningFee("fixed", fixed, billed=fixed), RunningFee("seat", seat, billed=seat)],
        [],
        cycle=cycle("2025-06-01", start="2025-06-01"),
        at=at("2025-06-16"),
        mode="prorate",
        basis="per_second",
        currency="USD",
    )
    assert [minor(line.amount) for line in change.lines] == [-3_500, -7_000]


@pytest.mark.parametrize(
    ("case", "old", "new", "expected"),
    [
        ("R40", 1_000, 2_000, (-548, 1_097, 549)),
        ("R41", 10_000, 3_000, (-5_484, 1_645, -3_839)),
        ("R42", 5_000, 10_000, (-2_742, 5_484, 2_742)),
    ],
)
def test_the_day_of_a_change_belongs_to_the_new_plan(
    case: str, old: int, new: int, expected: tuple[int, int, int]
) -> None:
    change = change_fees(
        [RunningFee("plan", old * MINOR, billed=old * MINOR)],
        [NewFee("plan", new * MINOR)],
        cycle=cycle("2024-03-01", start="2024-03-01"),
        at=at("2024-03-15"),
        mode="invoice",
        basis="per_day",
        currency="USD",
    )
    amounts = [minor(line.amount) for line in change.lines]
    assert (*amounts, sum(amounts)) == expected
    assert {line.share for line in change.lines} == {Fraction(17, 31)}


def test_r50_a_terminated_stub_counts_its_last_day() -> None:
    period = cycle("2023-04-15", unit="quarter", start="2023-05-20").period(0)
    share = used_share(period, at("2023-06-20"), basis="per_day", day_counts_as_used=True)
    assert share == Fraction(32, 91)
    assert minor(round_to_document(91_000 * MINOR * share, currency="EUR")) == 32_000


def test_r52_a_stub_is_taxed_after_its_proration() -> None:
    period = cycle("2023-01-01", start="2023-01-08").period(0)
    share = span_share(period, period.start, period.end, basis="per_day")
    assert share == Fraction(24, 31)
    assert minor(with_tax(round_to_document(5_000 * MINOR * share, currency="EUR")).gross) == 4_645


def test_r54_a_termination_in_february_is_credited_with_its_tax() -> None:
    period = cycle("2023-02-01").period(0)
    share = unused_share(period, at("2023-02-25"), basis="per_day", day_counts_as_used=True)
    assert share == Fraction(3, 28)
    note = with_tax(round_to_document(5_000 * MINOR * share, currency="EUR"))
    assert (minor(note.net), minor(note.tax), minor(note.gross)) == (536, 107, 643)

"""Worked examples of shares (section 6). What a change or an end credits and charges: test_subscriptions.py."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from billing.rules.periods import Cycle, Interval
from billing.rules.proration import span_share, unused_share, used_share
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
    ("case", "basis", "day_counts_as_used", "left", "credit"),
    [
        ("R11", "fixed_30", False, Fraction(8, 30), 532),
        ("R11-house", "per_day", True, Fraction(7, 30), 466),
    ],
)
def test_a_termination_leaves_the_days_that_were_not_used(
    case: str, basis: str, day_counts_as_used: bool, left: Fraction, credit: int
) -> None:
    """What a subscription credits of it, by the house rule: test_subscriptions.py."""
    period = cycle("2023-04-23").period(0)
    share = unused_share(period, at("2023-05-15"), basis=basis, day_counts_as_used=day_counts_as_used)
    assert share == left
    assert minor(round_to_document(1995 * MINOR * share, currency="USD")) == credit


@pytest.mark.parametrize(("case", "share", "amount"), [("R50", Fraction(32, 91), 32_000)])
def test_a_terminated_stub_counts_its_last_day(case: str, share: Fraction, amount: int) -> None:
    period = cycle("2023-04-15", unit="quarter", start="2023-05-20").period(0)
    assert used_share(period, at("2023-06-20"), basis="per_day", day_counts_as_used=True) == share
    assert minor(round_to_document(91_000 * MINOR * share, currency="EUR")) == amount


@pytest.mark.parametrize(("case", "share", "gross"), [("R52", Fraction(24, 31), 4_645)])
def test_a_stub_is_taxed_after_its_proration(case: str, share: Fraction, gross: int) -> None:
    period = cycle("2023-01-01", start="2023-01-08").period(0)
    assert span_share(period, period.start, period.end, basis="per_day") == share
    assert minor(with_tax(round_to_document(5_000 * MINOR * share, currency="EUR")).gross) == gross


@pytest.mark.parametrize(("case", "share", "expected"), [("R54", Fraction(3, 28), (536, 107, 643))])
def test_a_termination_in_february_is_credited_with_its_tax(
    case: str, share: Fraction, expected: tuple[int, int, int]
) -> None:
    period = cycle("2023-02-01").period(0)
    assert unused_share(period, at("2023-02-25"), basis="per_day", day_counts_as_used=True) == share
    note = with_tax(round_to_document(5_000 * MINOR * share, currency="EUR"))
    assert (minor(note.net), minor(note.tax), minor(note.gross)) == expected

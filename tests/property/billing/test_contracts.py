"""For any contract and any use: what the customer pays for a term is max(committed, used), and the books close (B5)."""

from collections import Counter
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rules.contracts.row import SETTLED, Window
from billing.rules.rounding import round_to_document
from tests.builders.contracted import CENT, DOLLAR, LATER, Agreement, commitment, day, terms

START, END = day("2026-01-15"), day("2027-03-01")
Use = list[tuple[datetime, int]]

amounts = st.integers(1, 100_000).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
uses = st.lists(
    st.tuples(st.integers(0, (END - START).days * 24 - 1), st.integers(1, 90_000 * CENT)), max_size=40
).map(lambda found: sorted((START + timedelta(hours=hours), units) for hours, units in found))
windows = st.sampled_from(("week", "month", "quarter", "year", "segment"))
alignments = st.sampled_from(("anniversary", "calendar"))
factors = st.sampled_from(("1", "0.5", "1.25", "2"))


def agree(kind: str, window: str, alignment: str, first: str, second: str, **given: Any) -> Agreement:
    made = commitment(kind, window, alignment=alignment, **given)
    ramp = (first, "2026-08-01", second)
    return Agreement(terms(*ramp, start="2026-01-15", end="2027-03-01", commitment=made))


def play(agreement: Agreement, use: Use, until: datetime = END) -> None:
    for at, units in use:
        if at < until:
            agreement.until(at)
            agreement.use(at, units)
    agreement.until(END + LATER)


def used_in(window: Window, use: Use) -> int:
    return sum(units for at, units in use if window.start <= at < window.end)


def rounded(units: Fraction | int) -> int:
    return round_to_document(units, currency="USD")


def books_close(agreement: Agreement) -> None:
    """Nothing is deferred, nothing is left to draw, and what was invoiced is revenue, breakage or rounding."""
    books = agreement.books
    assert books["deferred"] == 0
    assert books["customer_credit"] == 0
    assert -books["receivable"] == books["revenue"] + books["breakage"] + books["rounding"]
    assert abs(books["rounding"]) <= len(agreement.windows) * CENT


class TestAPostpaidCommitment:
    @settings(deadline=None)
    @given(windows, alignments, amounts, amounts, factors, uses)
    def test_costs_the_larger_of_committed_and_used_in_every_window(
        self, window: str, alignment: str, first: str, second: str, factor: str, use: Use
    ) -> None:
        agreement = agree("postpaid", window, alignment, first, second, overage={"factor": factor})
        play(agreement, use)
        agreement.bill_use()
        paid: Counter[int] = Counter()
        for item in agreement.items:
            assert item.kind in ("true_up", "overage")
            (number,) = [w.number for w in agreement.windows.values() if w.start == item.service_start]
            paid[number] += item.amount
        for each in agreement.windows.values():
            used = used_in(each, use)
            excess = max(0, used - each.amount)
            lines = rounded(min(used, each.amount)) + rounded(excess)
            surcharge = rounded(excess * (Fraction(factor) - 1))
            assert (
                lines + paid[each.number]
                == max(each.amount, rounded(min(used, each.amount)) + rounded(excess)) + surcharge
            )
            assert each.status == SETTLED
            assert each.used + each.line == used  # no unit twice, none lost
        books_close(agreement)

    @settings(deadline=None)
    @given(windows, amounts, amounts, uses)
    def test_without_true_up_costs_what_was_used(
        self, window: str, first: str, second: str, use: Use
    ) -> None:
        agreement = agree("postpaid", window, "anniversary", first, second, true_up=False)
        play(agreement, use)
        agreement.bill_use()
        assert agreement.items == []
        books_close(agreement)

    @settings(deadline=None)
    @given(st.sampled_from(("month", "quarter")), amounts, amounts, st.none() | amounts, uses)
    def test_rolls_over_and_is_paid_in_full_at_the_end(
        self, window: str, first: str, second: str, cap: str | None, use: Use
    ) -> None:
        given = {} if cap is None else {"rollover_cap": cap}
        agreement = agree("postpaid", window, "anniversary", first, second, rollover=True, **given)
        play(agreement, use)
        lines = agreement.bill_use()
        drawn = sum(each.used for each in agreement.windows.values())
        committed = sum(each.amount for each in agreement.windows.values())
        line = sum(units for _, units in agreement.line)
        assert drawn + line == sum(units for _, units in use)
        # nothing can be paid that was not committed or used; what is missing is the true-up
        assert sum(rounded(each.used) + each.true_up for each in agreement.windows.values()) == committed
        assert lines + agreement.of("true_up") >= committed
        books_close(agreement)


class TestAPrepaidCommitment:
    @settings(deadline=None)
    @given(windows, alignments, amounts, amounts, uses)
    def test_is_invoiced_once_and_what_exceeds_it_is_on_the_line(
        self, window: str, alignment: str, first: str, second: str, use: Use
    ) -> None:
        agreement = agree("prepaid", window, alignment, first, second)
        play(agreement, use)
        for each in agreement.windows.values():
            used = used_in(each, use)
            assert (each.billed, each.credited) == (each.amount, 0)
            assert (each.used, each.line) == (min(used, each.amount), max(0, used - each.amount))
            assert each.lapsed == each.amount - each.used
        assert agreement.of("commitment") == sum(each.amount for each in agreement.windows.values())
        books_close(agreement)

    @settings(deadline=None)
    @given(st.sampled_from(("month", "quarter")), amounts, amounts, st.none() | amounts, uses)
    def test_rolls_over_at_most_its_cap(
        self, window: str, first: str, second: str, cap: str | None, use: Use
    ) -> None:
        given = {} if cap is None else {"rollover_cap": cap}
        agreement = agree("prepaid", window, "anniversary", first, second, rollover=True, **given)
        play(agreement, use)
        most = None if cap is None else round(Fraction(cap) * DOLLAR)
        for each in agreement.windows.values():
            assert most is None or each.rolled <= most
            assert each.billed == each.used + each.lapsed
        books_close(agreement)


class TestAMinimum:
    @settings(deadline=None)
    @given(windows, alignments, amounts, amounts, uses)
    def test_lifts_what_fees_and_use_come_to_in_every_window(
        self, window: str, alignment: str, first: str, second: str, use: Use
    ) -> None:
        made = commitment("minimum", window, alignment=alignment)
        fees = [{"key": "base", "name": "Base", "amount": "9.99", "interval": {"unit": "month"}}]
        ramp = (first, "2026-08-01", second)
        agreement = Agreement(terms(*ramp, start="2026-01-15", end="2027-03-01", commitment=made, fees=fees))
        play(agreement, use)
        for each in agreement.windows.values():
            billed = each.fees + rounded(used_in(each, use))
            assert each.true_up == max(0, each.amount - billed)
        counted = sum(each.fees for each in agreement.windows.values())
        assert counted == agreement.of("recurring")  # every fee in one window
        assert agreement.of("minimum") == sum(each.true_up for each in agreement.windows.values())


class TestAnAmendmentOrAnEnd:
    @settings(deadline=None)
    @given(
        st.sampled_from(("prepaid", "postpaid")),
        st.sampled_from(("month", "quarter", "year", "segment")),
        st.booleans(),
        amounts,
        amounts,
        st.integers(1, 380),
        st.integers(-200, 200),
        uses,
    )
    def test_keeps_the_books_closed(
        self,
        kind: str,
        window: str,
        rollover: bool,
        first: str,
        second: str,
        days: int,
        longer: int,
        use: Use,
    ) -> None:
        at = START + timedelta(days=days)
        end = max(END + timedelta(days=longer), at + timedelta(days=2))
        agreement = agree(kind, window, "anniversary", first, "10", rollover=rollover)
        before = [each for each in use if each[0] < at]
        for moment, units in before:
            agreement.until(moment)
            agreement.use(moment, units)
        agreement.until(at - timedelta(days=1))
        made = commitment(kind, window, rollover=rollover)
        changed = terms(second, start="2026-01-15", end=str(end.date()), commitment=made)
        agreement.amend(changed, str(at.date()), at=at - timedelta(days=1))
        for moment, units in [each for each in use if each[0] >= at and each[0] < end]:
            agreement.until(moment)
            agreement.use(moment, units)
        agreement.until(end + LATER)
        agreement.bill_use()
        assert agreement.row.windows == ()
        for each in agreement.windows.values():
            assert each.used <= each.granted
            if kind == "postpaid":
                paid = rounded(each.used) + each.true_up + each.line
                assert paid >= each.amount or abs(paid - each.amount) < CENT
            else:
                assert each.billed >= each.used
        books_close(agreement)

    @settings(deadline=None)
    @given(
        st.sampled_from(("prepaid", "postpaid", "minimum")),
        st.sampled_from(("month", "quarter", "segment")),
        st.sampled_from(("full", "prorated", "waive")),
        amounts,
        st.integers(1, 400 * 24),
        uses,
    )
    def test_early_costs_what_its_terms_say(
        self, kind: str, window: str, mode: str, first: str, hours: int, use: Use
    ) -> None:
        at = START + timedelta(hours=hours)
        agreement = agree(kind, window, "anniversary", first, first)
        for moment, units in [each for each in use if each[0] < at]:
            agreement.until(moment)
            agreement.use(moment, units)
        agreement.until(at)
        agreement.terminate(mode, at=at)
        agreement.until(at + LATER)
        agreement.bill_use()
        assert (agreement.row.status, agreement.row.windows, agreement.row.next_at) == (
            "terminated",
            (),
            None,
        )
        last = max(agreement.windows.values(), key=lambda each: each.number)
        if mode == "waive" and kind == "prepaid" and last.end == at:
            assert last.billed - last.used < CENT
        if mode == "waive" and last.end == at:
            assert last.true_up == 0
        books_close(agreement)

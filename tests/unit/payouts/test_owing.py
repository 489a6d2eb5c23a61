"""What of debt and bought credit is paid, as plain arithmetic: by what repaid it, and where a payment went back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from payouts.rules.collecting import ALL, GONE, NOTHING, Fraction, blended, by_payers, tail
from payouts.rules.owing import NOBODY, Debt, Repaid, Used, unpaid

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def call(name: str, amount: int, hour: int) -> tuple[Used, Debt]:
    """A call that became debt."""
    return Used(f"debt:{name}", amount, at(hour)), Debt(f"debt:{name}", amount, at(hour), (f"debt:{name}",))


class TestWhatIsOwed:
    USED = (Used("grant:a", 10, at(0)), Used("debt:b", 4, at(9)), Used("debt:c", 4, at(5)))

    def test_and_not_told_of_is_the_newest_that_was_used(self) -> None:
        found = unpaid(self.USED, 6)
        assert found["debt:b"].of(100) == (0, 0)
        assert found["debt:c"].of(100) == (50, 0)
        assert found["grant:a"].of(100) == (100, 0)

    def test_reaches_what_credit_paid_for_when_that_was_taken_back(self) -> None:
        assert unpaid([Used("grant:a", 10, at(0))], 4)["grant:a"].of(100) == (60, 0)

    def test_is_nothing_without_debt(self) -> None:
        assert unpaid([Used("grant:a", 10, at(0))], 0)["grant:a"].of(7) == (7, 0)

    def test_is_the_newest_debt_whatever_credit_was_used_since(self) -> None:
        used, debt = call("a", 10, 0)
        found = unpaid([used, Used("grant:late", 10, at(3))], 4, [debt])
        assert (found["debt:a"].of(100), found["grant:late"].of(100)) == ((60, 0), (100, 0))

    def test_by_what_nobody_has_a_share_of_is_missing_of_nothing(self) -> None:
        meter = Debt("owing:m", 10, at(5), (NOBODY,))
        assert unpaid([Used("grant:a", 10, at(0))], 10, [meter])["grant:a"].of(7) == (7, 0)


class TestWhatWasRepaid:
    def test_by_what_is_given_away_is_lost_of_the_call_that_it_repaid(self) -> None:
        first, one = call("a", 10, 0)
        second, two = call("b", 10, 2)
        repaid = [Repaid("r1", 10, at(1), "grant:gift"), Repaid("r2", 10, at(3), "grant:paid")]
        found = unpaid([first, second], 0, [one, two], repaid, {"grant:gift": GONE})
        assert (found["debt:a"].of(100), found["debt:b"].of(100)) == ((0, 100), (100, 0))

    def test_by_a_plan_is_as_far_as_its_fee_is_paid(self) -> None:
        used, debt = call("a", 10, 0)
        repaid = [Repaid("r", 10, at(1), "grant:plan")]
        found = unpaid([used], 0, [debt], repaid, {"grant:plan": Fraction(1, 1, 5)})
        assert found["debt:a"].of(100) == (20, 20)

    def test_before_anything_was_told_of_repaid_older_debt(self) -> None:
        used, debt = call("a", 10, 5)
        repaid = [Repaid("r1", 7, at(1), "grant:gift"), Repaid("r2", 10, at(6), "grant:paid")]
        assert unpaid([used], 0, [debt], repaid, {"grant:gift": GONE})["debt:a"].of(100) == (100, 0)


class TestAPaymentThatWentBack:
    USED = (Used("grant:a", 10, at(0), is_back=True), Used("grant:b", 10, at(2)))
    BACK = Debt("owing:p", 10, at(4), ("grant:a",))

    def test_is_missing_of_what_it_bought(self) -> None:
        found = unpaid(self.USED, 10, [self.BACK])
        assert (found["grant:a"].of(100), found["grant:b"].of(100)) == ((0, 0), (100, 0))

    def test_is_missing_of_the_newest_beyond_what_was_used_of_it(self) -> None:
        found = unpaid(
            (*self.USED, Used("grant:c", 1, at(3))), 13, [Debt("owing:p", 13, at(4), ("grant:a",))]
        )
        assert [found[f"grant:{name}"].of(100)[0] for name in "abc"] == [0, 80, 0]

    def test_is_missing_again_where_the_payment_that_repaid_it_went_back_too(self) -> None:
        again = Debt("owing:q", 10, at(6), ("grant:c",))
        repaid = [Repaid("r", 10, at(5), "grant:c")]
        found = unpaid(
            (*self.USED, Used("grant:c", 0, at(5), repaid=10, is_back=True)), 10, [self.BACK, again], repaid
        )
        assert (found["grant:a"].of(100), found["grant:b"].of(100)) == ((0, 0), (100, 0))

    def test_is_missing_of_the_call_whose_debt_it_repaid(self) -> None:
        used, debt = call("a", 10, 0)
        repaying = Used("grant:p", 0, at(1), repaid=10, is_back=True)
        back = Debt("owing:p", 10, at(4), ("grant:p",))
        found = unpaid(
            [used, repaying, Used("grant:b", 10, at(2))],
            10,
            [debt, back],
            [Repaid("r", 10, at(1), "grant:p")],
        )
        assert (found["debt:a"].of(100), found["grant:b"].of(100)) == ((0, 0), (100, 0))


class TestAnAdvance:
    ITEMS = ((100, "i"), (50, "j"))

    def test_is_paid_by_its_items_of_which_a_grant_is_the_end(self) -> None:
        assert tail(self.ITEMS[:1], 100) == [(100, "i")]
        assert tail(self.ITEMS, 120) == [(50, "j"), (70, "i")]
        assert tail(self.ITEMS, 500) == [(50, "j"), (100, "i")]

    def test_is_paid_as_far_as_they_are_together(self) -> None:
        assert blended([(50, NOTHING), (70, ALL), (0, ALL), (-5, ALL)]) == Fraction(70, 0, 120)
        assert blended([(0, ALL)]) is None


class TestADifferenceOfTiers:
    def test_is_collected_as_its_month_is_payer_by_payer(self) -> None:
        assert by_payers([(60, [(60, ALL)]), (40, [(80, Fraction(1, 0, 2))])]) == Fraction(80, 0, 100)

    def test_is_not_collected_of_what_stands_nowhere_yet(self) -> None:
        assert by_payers([(60, [(20, ALL)])]) == Fraction(20, 0, 60)
        assert by_payers([(60, [])]) == Fraction(0, 0, 60)
        assert by_payers([]) is None

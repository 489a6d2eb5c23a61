"""Worked examples of revenue metrics, by their id. `case` names the convention where others count in another way."""

from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

import pytest

from billing.rules.plans import PlanTerms
from billing.rules.rounding import round_to_document
from common.ids import new_id
from events.reading import StoredEvent
from payouts.projections.metrics import states_what_recurs
from payouts.rules.metrics.figures import (
    NO_CUSTOMERS,
    ZERO_CHURN,
    LifetimeValue,
    Moved,
    lifetime_value,
    months_of,
)
from payouts.rules.metrics.normalising import EXACT, ROUNDED, Factors, annual, monthly, share_text
from tests.builders.recurring import Recurring
from tests.builders.subscribed import CENT, DOLLAR, coupon, day, fee, metered, seats, terms

YEAR = {"unit": "year", "count": 1}
JANUARY, FEBRUARY = day("2026-01-01").date(), day("2026-02-01").date()


def yearly_seats() -> PlanTerms:
    """500.00 a year for each seat."""
    return terms(seats("500"), interval=YEAR)


class TestMovements:
    @pytest.mark.parametrize("cents", [pytest.param(16_667, id="N2")])
    def test_a_first_purchase_of_four_yearly_seats_is_new(self, cents: int) -> None:
        customer = Recurring()
        customer.subscribe(yearly_seats(), seats=4)
        assert customer.moved == [("new", cents, "2026-01-15")]

    @pytest.mark.parametrize("cents", [pytest.param(3_000, id="N3")])
    def test_two_more_plans_of_the_same_customer_are_expansion(self, cents: int) -> None:
        customer = Recurring()
        customer.subscribe(yearly_seats(), seats=4)
        for _ in range(2):
            customer.subscribe(terms(fee("30")), day("2026-02-01"))
        assert customer.moved[1:] == [("expansion", cents, "2026-02-01")] * 2

    @pytest.mark.parametrize("cents", [pytest.param(16_667, id="N5")])
    def test_canceling_the_last_subscription_is_churn_at_the_end_of_its_period(self, cents: int) -> None:
        customer = Recurring()
        bought = customer.subscribe(yearly_seats(), seats=4)
        customer.cancel(bought, day("2026-03-01"))
        customer.until(day("2027-03-01"))
        assert customer.moved[1:] == [("churn", -cents, "2027-01-15")]

    @pytest.mark.parametrize("cents", [pytest.param(2_000, id="N14")])
    def test_a_discount_that_is_added_is_contraction_and_one_that_expires_expansion(self, cents: int) -> None:
        customer = Recurring()
        bought = customer.subscribe(terms(fee("100")))
        customer.redeem(bought, coupon(day("2026-02-01"), 2, percent="20"), day("2026-02-01"))
        customer.until(day("2026-06-01"))
        assert customer.moved == [
            ("new", 10_000, "2026-01-15"),
            ("contraction", -cents, "2026-02-15"),
            ("expansion", cents, "2026-04-15"),
        ]

    @pytest.mark.parametrize("cents", [pytest.param(3_000, id="N17")])
    def test_one_time_and_metered_charges_are_no_mrr(self, cents: int) -> None:
        customer = Recurring()
        customer.subscribe(terms(fee("30"), fee("99", key="setup", kind="one_time"), metered()))
        assert customer.moved == [("new", cents, "2026-01-15")]


@pytest.mark.parametrize(
    ("case", "stream", "verb"),
    [
        pytest.param("only the exchange rate moves", "fx_rate", "published", id="N15"),
        pytest.param("a refund", "payment", "refunded", id="N16"),
        pytest.param("a credit note", "credit_note", "issued", id="N16-credit-note"),
        pytest.param("use", "usage", "recorded", id="N17-use"),
        pytest.param("a one-time item", "invoice_item", "added", id="N17-item"),
    ],
)
def test_nothing_but_subscriptions_and_contracts_moves_mrr(case: str, stream: str, verb: str) -> None:
    """What is refunded, converted, used or charged once says nothing of what recurs, whatever its event holds."""
    data = {"next_at": None, "amount": 100 * DOLLAR}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    told = StoredEvent(new_id(), stream, new_id(), 1, f"{stream}.{verb}", data, at, "system:test")
    assert not states_what_recurs(told), case


@pytest.mark.parametrize(
    ("case", "factors", "unit", "dollars", "cents"),
    [
        pytest.param("house: rule 33", EXACT, "day", 1, 3_042, id="N13-day"),
        pytest.param("mrr_factors=rounded", ROUNDED, "day", 1, 3_000, id="N13-day-rounded"),
        pytest.param("house: rule 33", EXACT, "week", 10, 4_333, id="N13-week"),
        pytest.param("mrr_factors=rounded", ROUNDED, "week", 10, 4_330, id="N13-week-rounded"),
        pytest.param("house: rule 33", EXACT, "month", 10, 1_000, id="N13-month"),
        pytest.param("house: rule 33", EXACT, "quarter", 30, 1_000, id="N13-quarter"),
        pytest.param("house: rule 33", EXACT, "year", 2_000, 16_667, id="N13-year"),
        pytest.param("mrr_factors=rounded", ROUNDED, "year", 2_000, 16_667, id="N13-year-rounded"),
    ],
)
def test_a_price_is_normalised_to_a_month(
    case: str, factors: Factors, unit: str, dollars: int, cents: int
) -> None:
    exact = monthly(Fraction(dollars * DOLLAR), unit, factors=factors)
    assert round_to_document(exact, currency="USD") == cents * CENT, case


@pytest.mark.parametrize(("gross", "net"), [pytest.param("0.200000", "0.100000", id="N7")])
def test_churn_is_gross_of_what_was_lost_and_net_of_what_grew(gross: str, net: str) -> None:
    """Of 100 one customer leaves with 10, one goes down by 10, and one grows by 10."""
    one, two, three = UUID(int=1), UUID(int=2), UUID(int=3)
    began = [(one, 10), (two, 40), (three, 50)]
    moved = [Moved(name, "USD", JANUARY, "new", dollars * DOLLAR) for name, dollars in began]
    moved += [
        Moved(one, "USD", FEBRUARY, "churn", -10 * DOLLAR),
        Moved(two, "USD", FEBRUARY, "contraction", -10 * DOLLAR),
        Moved(three, "USD", FEBRUARY, "expansion", 10 * DOLLAR),
    ]
    (month,) = months_of(moved, first=FEBRUARY, last=FEBRUARY)["USD"]
    assert (month.start, month.end) == (100 * DOLLAR, 90 * DOLLAR)
    assert (share_text(month.gross_churn), share_text(month.net_churn)) == (gross, net)
    kept = month.kept
    assert (share_text(kept.gross_retention), share_text(kept.net_retention)) == ("0.800000", "0.900000")


@pytest.mark.parametrize(
    ("case", "arpa", "churn", "value"),
    [
        pytest.param("churn 0", 100 * DOLLAR, Fraction(0), LifetimeValue(None, ZERO_CHURN), id="N10"),
        pytest.param(
            "5 % a month", 100 * DOLLAR, Fraction(1, 20), LifetimeValue(2_000 * DOLLAR), id="N10-churn"
        ),
        pytest.param("nobody", None, None, LifetimeValue(None, NO_CUSTOMERS), id="N10-nobody"),
    ],
)
def test_the_value_of_a_customer_is_arpa_by_churn_and_unknown_without(
    case: str, arpa: int | None, churn: Fraction | None, value: LifetimeValue
) -> None:
    assert lifetime_value(arpa, churn) == value, case


def test_arr_is_twelve_times_mrr_to_the_unit() -> None:
    """S106: 2,000.00 a year are an MRR of 166.66666667 and an ARR of twelve times that."""
    customer = Recurring()
    customer.subscribe(yearly_seats(), seats=4)
    (only,) = customer.movements
    assert (only.amount, annual(only.amount)) == (16_666_666_667, 200_000_000_004)

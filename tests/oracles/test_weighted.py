"""Worked examples of weighted sums and prorated graduated quantities (section 5).

W2 and W4 are counted by the meters; W5, W7 and V1-pro (of section 2) are what seats with tiers cost that change
within their period.
"""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from billing.queries.metering import aggregate
from billing.rules.amounts import amount_of
from billing.rules.charges.usage import Measured, QuantityChange, Usage
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.held import Course, cost_of
from tests.builders.charges import Tiers, amount, charge, ladder, priced, with_convention
from tests.builders.metering import cut_of, make_meter, new_event, now, record
from tests.builders.orgs import make_organization, write
from tests.builders.subscribed import DOLLAR, Catalog, Subscriber, amounts, day, terms

START = now().replace(minute=0, second=0, microsecond=0) - timedelta(days=32)
END = START + timedelta(days=31)
SEATS: Tiers = [("5", "10", "100"), (None, "5", "50")]
V1: Tiers = [("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50")]


def licensed(model: str, tiers: Tiers) -> dict[str, Any]:
    """Seats of a plan."""
    price = {"model": model, "tiers": ladder(tiers)}
    return {"key": "seats", "name": "Seats", "kind": "licensed", "prices": {"USD": price}}


@pytest.mark.parametrize(
    ("case", "levels", "expected"),
    [
        ("W2", [(0, "2"), (2, "1")], "1.00269"),  # a level is what is held from then on
        ("W4", [(0, "1000")], "1000"),
    ],
)
def test_a_weighted_sum_is_the_mean_of_what_was_held(
    case: str, levels: list[tuple[int, str]], expected: str
) -> None:
    meter, organization = make_meter("weighted_sum"), make_organization()
    kind = str(meter.definition.event_type)
    record(
        organization,
        *(new_event(kind, START + timedelta(hours=hours), {"units": level}) for hours, level in levels),
    )
    cut = cut_of(organization, END)
    (found,) = write(lambda cur: aggregate(cur, organization, meter, START, END, cut))
    assert round(found.quantity, 5) == Fraction(expected)


@pytest.mark.parametrize(
    ("case", "changes", "expected", "held", "mean"),
    [
        ("W5", [("5", "3.5"), ("5", "2.66667"), ("10", "2"), ("-6", "-2.2")], "197.33", 14, "14.10"),
        ("W7", [("5", "3.5"), ("2", "1"), ("-4", "-1.6"), ("10", "2")], "190.00", 13, None),
    ],
)
def test_a_prorated_quantity_is_spread_over_the_tiers_it_passed(
    case: str, changes: list[tuple[str, str]], expected: str, held: int, mean: str | None
) -> None:
    """By the rule, and by what a subscription prices the course of its seats with."""
    moves = tuple(QuantityChange(Fraction(full), Fraction(prorated)) for full, prorated in changes)
    line = priced(charge("graduated", tiers=ladder(SEATS)), Usage(Measured(changes=moves)))
    assert amount_of(line.gross.document_units("USD")) == Fraction(expected)
    assert line.billable == held
    assert (mean is None) or round(line.amount / held, 2) == Fraction(mean)
    course = Course(Fraction(1), tuple((one.quantity, one.prorated / one.quantity) for one in moves))
    found = cost_of(terms(licensed("graduated", SEATS)).charges[0], course, currency="USD")
    assert round_to_document(found.units, currency="USD") == Fraction(expected) * DOLLAR


@pytest.mark.parametrize(
    ("case", "model", "tiers", "first", "changes", "expected"),
    [
        # W5 names its changes in no order of time: in that order, -6 at 11/30 before +10 at 6/30, they cost 196.50
        ("W5-in-time", "graduated", SEATS, 0, [(9, 5), (14, 10), (19, 4), (24, 14)], "196.50"),
        ("W7", "graduated", SEATS, 0, [(9, 5), (15, 7), (18, 3), (24, 13)], "190.00"),
        ("V1-pro", "volume", V1, 100, [("15.21", 300)], "149.30"),
        ("shares", "graduated", SEATS, 5, [(15, 10)], "212.50"),  # not 187.50, by shares of whole prices
    ],
)
def test_the_lines_of_a_period_sum_to_what_the_course_of_its_seats_costs(
    case: str, model: str, tiers: Tiers, first: int, changes: list[tuple[Any, int]], expected: str
) -> None:
    """`changes`: after so many days of 30 to so many seats."""
    catalog = Catalog()
    held = catalog.add(terms(licensed(model, tiers)), seats=first)
    who = Subscriber(catalog, held, day("2026-04-01"))
    for days, seats in changes:
        at = day("2026-04-01") + timedelta(seconds=int(Fraction(days) * 86_400))
        who.change(replace(held, quantities={"seats": Fraction(seats)}), at)
    billed = sum(cents for decision in who.decisions for _, cents in amounts(decision))
    assert billed == Fraction(expected) * 100


@pytest.mark.parametrize(
    ("case", "expected", "convention"), [("W9", 100, "flat_fee_at_zero=true"), ("W9-house", 0, "")]
)
def test_no_change_at_all(case: str, expected: int, convention: str) -> None:
    definition = charge("graduated", **with_convention({"tiers": ladder(SEATS)}, convention))
    assert amount(definition, Usage(Measured())) == expected

"""Worked examples of weighted sums and prorated graduated quantities (section 5).

W2 and W4 are counted by the meters. W5 and W7 are of the rule alone: no charge of a plan is billed so yet
(docs/charges.md).
"""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from billing.queries.metering import aggregate
from billing.rules.amounts import amount_of
from billing.rules.charges.usage import Measured, QuantityChange, Usage
from tests.builders.charges import Tiers, amount, charge, ladder, priced, with_convention
from tests.builders.metering import cut_of, make_meter, new_event, now, record
from tests.builders.orgs import make_organization, write
from tests.builders.subscribed import Catalog, Subscriber, amounts, day, terms

START = now().replace(minute=0, second=0, microsecond=0) - timedelta(days=32)
END = START + timedelta(days=31)
SEATS: Tiers = [("5", "10", "100"), (None, "5", "50")]
V1: Tiers = [("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50")]


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
    moves = tuple(QuantityChange(Fraction(full), Fraction(prorated)) for full, prorated in changes)
    line = priced(charge("graduated", tiers=ladder(SEATS)), Usage(Measured(changes=moves)))
    assert amount_of(line.gross.document_units("USD")) == Fraction(expected)
    assert line.billable == held
    assert (mean is None) or round(line.amount / held, 2) == Fraction(mean)


@pytest.mark.parametrize(
    ("model", "tiers", "before", "after", "billed"),
    [
        ("graduated", SEATS, 5, 10, [15_000, -7_500, 11_250]),  # by the rule of W5 212.50, not 187.50
        ("volume", V1, 100, 300, [21_000, -10_500, 10_000]),
    ],
    ids=["graduated", "volume"],
)
def test_a_change_of_tiered_seats_bills_shares_of_what_each_number_costs(
    model: str, tiers: Tiers, before: int, after: int, billed: list[int]
) -> None:
    """What a subscription does where W5, W7 and V1-pro would spread each change over the tiers (docs/charges.md)."""
    catalog = Catalog()
    price = {"model": model, "tiers": ladder(tiers)}
    seats = {"key": "seats", "name": "Seats", "kind": "licensed", "prices": {"USD": price}}
    held = catalog.add(terms(seats), seats=before)
    who = Subscriber(catalog, held, day("2026-04-01"))
    who.change(replace(held, quantities={"seats": Fraction(after)}), day("2026-04-16"))
    assert [cents for decision in who.decisions for _, cents in amounts(decision)] == billed


@pytest.mark.parametrize(
    ("case", "expected", "convention"), [("W9", 100, "flat_fee_at_zero=true"), ("W9-house", 0, "")]
)
def test_no_change_at_all(case: str, expected: int, convention: str) -> None:
    definition = charge("graduated", **with_convention({"tiers": ladder(SEATS)}, convention))
    assert amount(definition, Usage(Measured())) == expected

"""Commitments and thresholds: nothing is billed twice, nothing is lost."""

from fractions import Fraction

import hypothesis.strategies as st
from hypothesis import given

from billing.rules.commitments import Charge, Overage, settle
from billing.rules.progressive import Progress, Thresholds
from tests.property.billing.fractions import fractions

AMOUNTS = fractions(1000, max_denominator=100)
FACTORS = fractions(2, max_denominator=10).map(lambda factor: 1 + factor)
THRESHOLDS = st.builds(
    Thresholds,
    once=st.sets(st.integers(1, 5000), max_size=4).map(lambda found: tuple(sorted(found))),
    recurring=st.one_of(st.none(), st.integers(1, 2000)),
)


@given(commitment=AMOUNTS, amounts=st.lists(AMOUNTS, max_size=6), factor=FACTORS)
def test_every_charge_is_covered_or_exceeds(
    commitment: Fraction, amounts: list[Fraction], factor: Fraction
) -> None:
    charges = [Charge(str(place), amount) for place, amount in enumerate(amounts)]
    settled = settle(commitment, charges, overage=Overage(factor))
    assert [drawn.covered + drawn.excess for drawn in settled.charges] == amounts
    assert settled.covered == min(commitment, sum(amounts))
    assert settled.overage == max(Fraction(0), sum(amounts) - commitment) * factor
    assert settled.total >= commitment


@given(
    thresholds=THRESHOLDS,
    steps=st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(["use", "void"])), max_size=12),
)
def test_progressive_invoices_and_the_rest_bill_usage_once(
    thresholds: Thresholds, steps: list[tuple[int, str]]
) -> None:
    """Against the rule as it is told: a threshold fires when the period's total reaches it, and never again."""
    progress, total, highest = Progress(thresholds), 0, 0
    living: list[int] = []
    for amount, step in steps:
        if step == "void" and living:
            progress = progress.taken_back(living.pop())
        elif step == "use":
            total += amount
        unbilled = total - sum(living)
        fires = progress.trigger is not None and unbilled >= progress.trigger
        following = thresholds.next_above(highest)
        assert fires == (following is not None and total >= following)
        if fires:
            living.append(unbilled)
            progress, highest = progress.invoiced(unbilled), total
        assert (progress.billed, progress.fired) == (sum(living), highest)

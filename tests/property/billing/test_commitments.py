"""Commitments and thresholds: nothing is billed twice, nothing is lost."""

from fractions import Fraction

import hypothesis.strategies as st
from hypothesis import given

from billing.rules.commitments import Charge, Overage, settle
from billing.rules.progressive import Thresholds, period_end, progressive_invoice
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


@given(thresholds=THRESHOLDS, uses=st.lists(st.integers(0, 3000), max_size=12))
def test_progressive_invoices_and_the_end_bill_usage_once(thresholds: Thresholds, uses: list[int]) -> None:
    usage, invoices = 0, []
    for used in uses:
        usage += used
        invoice = progressive_invoice(thresholds, usage=usage, billed=sum(invoices))
        if invoice is not None:
            assert sum(invoices) < invoice.threshold <= usage
            invoices.append(invoice.units)
        following = thresholds.next_above(sum(invoices))
        assert following is None or usage < following
    ended = period_end([usage], billed=sum(invoices))
    assert (sum(invoices) + ended.due, ended.excess) == (usage, 0)

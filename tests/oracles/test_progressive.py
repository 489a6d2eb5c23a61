"""Worked examples of progressive billing (section 7, M12 to M16), in minor units of USD.

They are of the rule alone: the billing run knows one threshold, counts anew after each invoice and credits nothing at
the end (docs/charges.md; tests/functional/billing/test_billing_run.py says what it does).
"""

from fractions import Fraction

import pytest

from billing.rules.amounts import document_units_of
from billing.rules.charges.usage import used
from billing.rules.progressive import Thresholds, period_end, progressive_invoice
from tests.builders.charges import charge, minor, of_minor, priced, units_of_minor

PER_UNIT = charge("per_unit", unit_price="0.0002")
BASE_FEE = of_minor(3_100)
M12 = Thresholds(once=(units_of_minor(20_000), units_of_minor(50_000)))
M16 = Thresholds(
    once=tuple(units_of_minor(each) for each in (200, 500, 700)), recurring=units_of_minor(1_000)
)


class Period:
    """A period under progressive billing: what was used and what was billed, in 10^-8."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.quantity = 0
        self.billed = 0

    def use(self, quantity: int) -> int | None:
        """Use more; what is invoiced for it, in minor units."""
        self.quantity += quantity
        invoice = progressive_invoice(self.thresholds, usage=self.usage, billed=self.billed)
        if invoice is None:
            return None
        self.billed += invoice.units
        return minor(invoice.units)

    @property
    def usage(self) -> int:
        return priced(PER_UNIT, used(self.quantity)).gross.document_units("USD")

    def end(self, base_share: Fraction = Fraction(1)) -> tuple[int, int, int]:
        """Fees, credit and what is due in minor units."""
        base = document_units_of(BASE_FEE * base_share, currency="USD")
        ended = period_end([self.usage, base], billed=self.billed)
        return minor(ended.fees), minor(ended.credit), minor(ended.due)


@pytest.mark.parametrize(("case", "end"), [("M12", (43_100, 20_000, 23_100))])
def test_a_threshold_invoices_and_the_end_credits_it(case: str, end: tuple[int, int, int]) -> None:
    period = Period(M12)
    assert [period.use(1_000_000), period.use(1_000_000)] == [20_000, None]
    assert period.end() == end


@pytest.mark.parametrize(("case", "end"), [("M15", (21_700, 20_000, 1_700))])
def test_an_upgrade_ends_the_period_early(case: str, end: tuple[int, int, int]) -> None:
    """Convention per_day: 17 of 31 days were the old plan's, the day of the change is the new one's."""
    period = Period(M12)
    assert period.use(1_000_000) == 20_000
    assert period.end(Fraction(17, 31)) == end


@pytest.mark.parametrize(
    ("case", "invoices", "end"), [("M16", [220, None, 440, 220, 2200, 2200], (5_280, 5_280, 3_100))]
)
def test_recurring_thresholds_count_on_from_the_last_fixed_one(
    case: str, invoices: list[int | None], end: tuple[int, int, int]
) -> None:
    period = Period(M16)
    uses = [11_000] * 4 + [110_000] * 2
    assert [period.use(quantity) for quantity in uses] == invoices
    fees, credit, due = period.end()
    assert (fees - 3_100, credit, due) == end

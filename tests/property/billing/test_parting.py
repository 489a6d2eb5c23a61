"""However what is owed is parted among invoices, every line costs the same, and only tax is rounded anew."""

from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from billing.rules.assembling import DEFERRED, ROUNDING, UNBILLED, Owed, assemble, assemble_apart
from billing.rules.consolidating import carries_use, parted
from billing.rules.coupons import Coupon
from billing.rules.profiles import CONSOLIDATIONS, PER_SUBSCRIPTION
from billing.rules.tax import Treatment

CENT = 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
OWNERS = st.sampled_from([(UUID(int=1), None), (UUID(int=2), None), (None, UUID(int=3)), (None, None)])
FEES = st.lists(st.tuples(OWNERS, st.integers(-500, 9_999)), max_size=8)
USES = st.lists(st.integers(0, 10**9), max_size=3)
OFF = st.one_of(
    st.integers(1, 100).map(lambda percent: {"share": Fraction(percent, 100)}),
    st.integers(1, 2_000).map(lambda cents: {"units": cents * CENT}),
)
COUPONS = st.lists(st.tuples(OFF, st.booleans()), max_size=3)
RATE = Treatment(Fraction(19, 100), "S", "DE")


def owed_of(fees: list[tuple[tuple[UUID | None, UUID | None], int]], uses: list[int]) -> list[Owed]:
    lines = [
        Owed(f"f{n}", "recurring", "Fee", cents * CENT, DEFERRED, subscription=owner[0], contract=owner[1])
        for n, (owner, cents) in enumerate(fees)
    ]
    return [*lines, *(Owed(f"u{n}", "usage", "Use", exact, UNBILLED) for n, exact in enumerate(uses))]


def coupons_of(drawn: list[tuple[dict[str, object], bool]]) -> list[Coupon]:
    """Coupons for everything, or for the first fees alone."""
    few = frozenset(("f0", "f1", "f2"))
    return [
        Coupon(f"c{n}", targets=few if narrow else None, **off)  # type: ignore[arg-type]
        for n, (off, narrow) in enumerate(drawn)
    ]


@given(fees=FEES, uses=USES, drawn=COUPONS)
def test_invoices_apart_are_together_the_one_invoice(
    fees: list[tuple[tuple[UUID | None, UUID | None], int]],
    uses: list[int],
    drawn: list[tuple[dict[str, object], bool]],
) -> None:
    parts = parted(owed_of(fees, uses), consolidation=PER_SUBSCRIPTION)
    lines = [one for part in parts for one in part]
    coupons = coupons_of(drawn)
    whole = assemble(lines, currency="USD", taxing=lambda _: RATE, coupons=coupons)
    apart = assemble_apart(parts, currency="USD", taxing=lambda _: RATE, coupons=coupons)
    for name in ("subtotal", "discount", "net"):
        assert sum(getattr(each, name) for each in apart) == getattr(whole, name)
    by_key = {line.owed.key: (line.amount, line.discount) for line in whole.lines}
    assert {line.owed.key: (line.amount, line.discount) for each in apart for line in each.lines} == by_key
    assert abs(sum(each.tax for each in apart) - whole.tax) <= (len(apart) + 1) * CENT // 2
    assert all(sum(one.amount for one in each.discounts) == each.discount for each in apart)
    assert [line.number for each in apart for line in each.lines] == [
        n + 1 for part in parts for n in range(len(part))
    ]


@given(fees=FEES, uses=USES, drawn=OFF)
def test_one_coupon_takes_off_all_invoices_what_it_takes_off_one(
    fees: list[tuple[tuple[UUID | None, UUID | None], int]], uses: list[int], drawn: dict[str, object]
) -> None:
    parts = parted(owed_of(fees, uses), consolidation=PER_SUBSCRIPTION)
    coupons = coupons_of([(drawn, False)])
    lines = [one for part in parts for one in part]
    whole = assemble(lines, currency="USD", taxing=lambda _: RATE, coupons=coupons)
    apart = assemble_apart(parts, currency="USD", taxing=lambda _: RATE, coupons=coupons)
    taken = Counter[str]()
    for each in apart:
        taken.update({one.coupon: one.amount for one in each.discounts})
    assert taken == {one.coupon: one.amount for one in whole.discounts}


@given(fees=FEES, uses=USES, consolidation=st.sampled_from(CONSOLIDATIONS))
def test_each_line_is_on_one_invoice_and_only_one_of_them_bills_use(
    fees: list[tuple[tuple[UUID | None, UUID | None], int]], uses: list[int], consolidation: str
) -> None:
    owed = owed_of(fees, uses)
    parts = parted(owed, consolidation=consolidation)
    keys = Counter(one.key for part in parts for one in part)
    assert all(count == 1 for count in keys.values())
    assert {one.key for one in owed if one.account == DEFERRED or one.exact} <= set(keys)
    carrying = [part for part in parts if carries_use(part, consolidation=consolidation)]
    assert len(carrying) <= 1
    assert all(part in carrying for part in parts for one in part if one.account == UNBILLED)


@given(fees=FEES, uses=USES, drawn=COUPONS, consolidation=st.sampled_from(CONSOLIDATIONS))
def test_each_invoice_in_dinars_comes_to_what_can_be_charged_by_its_own_line(
    fees: list[tuple[tuple[UUID | None, UUID | None], int]],
    uses: list[int],
    drawn: list[tuple[dict[str, object], bool]],
    consolidation: str,
) -> None:
    parts = parted(owed_of(fees, uses), consolidation=consolidation)
    for each in assemble_apart(parts, currency="KWD", taxing=lambda _: RATE, coupons=coupons_of(drawn)):
        rounding = sum(line.net for line in each.lines if line.owed.kind == ROUNDING)
        assert each.net == rounding + sum(one.base for one in each.taxes)
        assert abs(rounding) <= CENT // 2
        if each.total - rounding > 0:
            assert each.total >= 0
            assert each.total % CENT == 0
        else:
            assert rounding == 0

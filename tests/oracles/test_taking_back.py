"""What comes back of metered use that turned out not to be, worked out by hand."""

from uuid import UUID

from billing.rules.takingback import BilledUse, Bound, Part, read_back, take_back

CENT = 1_000_000
BOUGHT, GIFT = UUID(int=1), UUID(int=2)


def part(source: str, cents: int, grant: UUID | None = None) -> Part:
    return source, grant, cents * CENT


PAID = [part("allowance", 20, GIFT), part("credit", 30, BOUGHT), part("postpaid", 50)]


def back(cents: int, *billed: BilledUse) -> tuple[int, dict[UUID, int]]:
    """What is on the invoice, and what goes back to gifts, in cents."""
    found = take_back(cents * CENT, billed, given={GIFT}, currency="USD")
    return found.amount // CENT, {grant: units // CENT for grant, units in found.gifts.items()}


def test_the_last_payer_gets_it_back_first() -> None:
    billed = BilledUse(PAID, 50 * CENT)
    assert back(40, billed) == (40, {})
    assert back(70, billed) == (70, {})
    assert back(90, billed) == (80, {GIFT: 10})
    assert back(100, billed) == (80, {GIFT: 20})


def test_only_what_was_to_pay_after_coupons_comes_back() -> None:
    billed = BilledUse(PAID, 25 * CENT)
    assert back(50, billed) == (25, {})
    assert back(25, billed) == (13, {})  # 12.5, half up
    assert back(100, billed) == (55, {GIFT: 20})


def test_what_came_back_does_not_come_back_again() -> None:
    billed = BilledUse(PAID, 25 * CENT)
    first = take_back(25 * CENT, [billed], given={GIFT}, currency="USD")
    told = BilledUse([], 0, first.parts, first.paid_back)
    assert back(25, billed, told) == (12, {})
    assert back(75, billed, told) == (42, {GIFT: 20})


def test_of_two_charges_the_later_comes_back_first() -> None:
    earlier = BilledUse([part("credit", 10, GIFT)], 0)
    later = BilledUse([part("credit", 10, BOUGHT)], 0)
    assert back(10, earlier, later) == (10, {})
    assert back(10, later, earlier) == (0, {GIFT: 10})


MINIMUM = frozenset({"postpaid", "credit", "debt"})


def test_what_stays_paid_for_a_minimum_keeps_its_tax() -> None:
    billed = BilledUse([part("postpaid", 120)], 120 * CENT)
    found = take_back(120 * CENT, [billed], given=(), currency="USD", bound=Bound(MINIMUM, 20 * CENT))
    assert (found.amount, found.paid_back, found.credit) == (20 * CENT, 20 * CENT, 0)


def test_what_stays_paid_for_a_minimum_is_of_the_first_payer() -> None:
    billed = BilledUse([part("credit", 70, BOUGHT), part("postpaid", 50)], 50 * CENT)
    found = take_back(120 * CENT, [billed], given=(), currency="USD", bound=Bound(MINIMUM, 60 * CENT))
    assert (found.amount, found.paid_back, found.credit) == (60 * CENT, 50 * CENT, 10 * CENT)


def test_what_stays_paid_does_not_come_back_later() -> None:
    billed = BilledUse([part("postpaid", 120)], 60 * CENT)  # half of it by a coupon
    first = take_back(60 * CENT, [billed], given=(), currency="USD", bound=Bound(MINIMUM, 10 * CENT))
    parts, kept = read_back(first.data())
    told = BilledUse([], 0, parts, first.paid_back + kept)
    second = take_back(60 * CENT, [billed, told], given=(), currency="USD", bound=Bound(MINIMUM, 100 * CENT))
    assert (first.paid_back, kept, second.paid_back) == (10 * CENT, 20 * CENT, 30 * CENT)

"""Revenue by month sums to exactly the amount, wherever the service begins and ends."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.rules.recognition import (
    METHODS,
    elapsed_share,
    end_recognition,
    recognise,
    revenue_by_month,
)
from tests.property.billing.calendars import INSTANTS, ZONES, inside

AMOUNTS = st.integers(-(10**12), 10**12)
SERVICE = st.tuples(INSTANTS, st.integers(1, 3 * 366 * 86_400)).map(
    lambda drawn: (drawn[0], drawn[0] + timedelta(seconds=drawn[1]))
)
Service = tuple[datetime, datetime]


@given(amount=AMOUNTS, service=SERVICE, zone=st.sampled_from(ZONES), method=st.sampled_from(METHODS))
def test_months_sum_to_the_amount_and_tile_the_service(
    amount: int, service: Service, zone: str, method: str
) -> None:
    start, end = service
    found = recognise(amount, start=start, end=end, zone=zone, method=method)
    assert sum(part.amount for part in found.parts) == amount
    assert (found.parts[0].start, found.parts[-1].end) == (start, end)
    assert all(one.end == other.start and one.month < other.month for one, other in pairwise(found.parts))
    assert all(part.amount * (1 if amount > 0 else -1) >= 0 for part in found.parts)


@given(service=SERVICE, zone=st.sampled_from(ZONES), method=st.sampled_from(METHODS), data=st.data())
def test_a_share_never_goes_back(service: Service, zone: str, method: str, data: st.DataObject) -> None:
    start, end = service
    moments = sorted(data.draw(st.lists(inside(start, end), min_size=2, max_size=5)))
    shares = [
        elapsed_share(at, start=start, end=end, zone=zone, method=method) for at in (start, *moments, end)
    ]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


@given(
    amount=AMOUNTS,
    service=SERVICE,
    zone=st.sampled_from(ZONES),
    method=st.sampled_from(METHODS),
    data=st.data(),
)
def test_an_early_end_leaves_earlier_months_and_sums_to_what_is_left(
    amount: int, service: Service, zone: str, method: str, data: st.DataObject
) -> None:
    start, end = service
    at = data.draw(inside(start, end))
    credited = data.draw(st.integers(min(amount, 0), max(amount, 0)))
    before = recognise(amount, start=start, end=end, zone=zone, method=method)
    after = end_recognition(before, at=at, credited=credited)
    assert sum(part.amount for part in after.parts) == amount - credited == after.amount
    assert after.parts[:-1] == before.parts[: len(after.parts) - 1]
    assert after.parts[-1].end == after.end == at


@given(amount=AMOUNTS, service=SERVICE, zone=st.sampled_from(ZONES), data=st.data())
def test_a_service_that_is_cut_in_two_loses_nothing(
    amount: int, service: Service, zone: str, data: st.DataObject
) -> None:
    """What is not recognised at the cut begins anew there; no month moves by more than its roundings."""
    start, end = service
    at = data.draw(inside(start, end))
    whole = recognise(amount, start=start, end=end, zone=zone, method="per_second")
    share = elapsed_share(at, start=start, end=end, zone=zone, method="per_second")
    rest = amount - round(amount * share)
    first = end_recognition(whole, at=at, credited=rest)
    second = recognise(rest, start=at, end=end, zone=zone, method="per_second")
    both = revenue_by_month([first, second])
    assert sum(both.values()) == amount
    assert all(abs(both[part.month] - part.amount) <= 2 for part in whole.parts)

"""What is over of a service never goes back. What is booked of it by month: test_schedules.py."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.rules.recognition import METHODS, elapsed_share
from tests.property.billing.calendars import INSTANTS, ZONES, inside

SERVICE = st.tuples(INSTANTS, st.integers(1, 3 * 366 * 86_400)).map(
    lambda drawn: (drawn[0], drawn[0] + timedelta(seconds=drawn[1]))
)
Service = tuple[datetime, datetime]


@given(service=SERVICE, zone=st.sampled_from(ZONES), method=st.sampled_from(METHODS), data=st.data())
def test_a_share_never_goes_back(service: Service, zone: str, method: str, data: st.DataObject) -> None:
    start, end = service
    moments = sorted(data.draw(st.lists(inside(start, end), min_size=2, max_size=5)))
    shares = [
        elapsed_share(at, start=start, end=end, zone=zone, method=method) for at in (start, *moments, end)
    ]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)

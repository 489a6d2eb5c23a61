"""Two beats at once, none for 25 hours, a clock that jumps an hour, summer time, ends of months: the jobs' own due
queries, on the database, come to each period once and with the dates that are meant."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from billing.operations.dunning.due import advance_due
from billing.operations.payments.topups import top_up_due
from billing.operations.runs import bill_due_customers
from billing.rules.payments.topups import month_start
from ledger.operations.expiry import expire_due_grants
from tests.builders.billing import Billed
from tests.builders.dunning import Dunned, usual_policy
from tests.builders.orgs import write
from tests.builders.simulated import at, at_start, decide, move_to
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, sell, subscribe
from tests.concurrency.billing.test_events_at_once import at_once
from tests.functional.billing.test_top_ups import RULE, buyer, checks, rule

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
GAP_END = datetime.fromisoformat("2027-03-28T03:00")
"""The 28th of March has no hour from two to three in Berlin."""
MONTHLY = [{"amounts": {"USD": "20"}, "every": {"unit": "month", "count": 1}}]
# Of a zone: when the first period begins, and then every end of a period, in UTC.
MONTHS = {
    "a 31st over February, in Berlin's spring": (
        "Europe/Berlin",
        ["2027-01-31T01:30", "2027-02-28T01:30", "2027-03-31T00:30", "2027-04-30T00:30"],
    ),
    "a wall time that does not exist": ("Europe/Berlin", ["2027-02-28T01:30", "2027-03-28T01:00", "2027-04-28T00:30"]),
    "a wall time that comes twice": ("Europe/Berlin", ["2027-08-31T00:30", "2027-09-30T00:30", "2027-10-31T00:30",
                                                       "2027-11-30T01:30"]),
    "a leap day, in New York": ("America/New_York", ["2028-01-31T04:15", "2028-03-01T04:15", "2028-03-31T03:15"]),
}  # fmt: skip


def found_by(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the application reads."""
    return write(lambda cur: cur.execute(statement, values).fetchall())


def beat() -> None:
    """What the beat has done: everything that is due of anybody."""
    bill_due_customers()
    expire_due_grants()
    advance_due()


def set_back(organization: UUID, by: timedelta) -> None:
    """Its clock jumps back, which no call can do."""
    write(
        lambda cur: cur.execute(
            "UPDATE organizations SET clock_offset = clock_offset - %s WHERE id = %s", (by, organization)
        )
    )


def two_at_once(made: Billed, due: datetime) -> None:
    """Both beats find the moment."""
    move_to(made.id, due + MINUTE)
    at_once(lambda _: beat(), callers=2)


def after_25_hours(made: Billed, due: datetime) -> None:
    """Nobody looked for so long."""
    move_to(made.id, due + 25 * HOUR)
    beat()


def an_hour_back(made: Billed, due: datetime) -> None:
    """It is looked at, then the clock shows the hour before once more, and again the same."""
    move_to(made.id, due + MINUTE)
    beat()
    set_back(made.id, HOUR)
    beat()
    set_back(made.id, -HOUR)
    beat()


def an_hour_ahead(made: Billed, due: datetime) -> None:
    """The clock jumps over it."""
    move_to(made.id, due - 30 * MINUTE)
    beat()
    move_to(made.id, due + 30 * MINUTE)
    beat()


STYLES = (two_at_once, after_25_hours, an_hour_back, an_hour_ahead)
ROWS = [
    (months, style)
    for place, months in enumerate(MONTHS)
    for style in (STYLES[place], STYLES[(place + 1) % 4])
]


def happened_at(made: Billed, *types: str) -> list[datetime]:
    """When events of these types happened, in the order of their dates."""
    statement = "SELECT occurred_at FROM events WHERE organization = %s AND type = ANY(%s) ORDER BY 1"
    return [row[0].astimezone(UTC) for row in found_by(statement, made.id, list(types))]


def to_the_minute(moments: list[datetime]) -> list[datetime]:
    """Without seconds: a clock is set to the whole second or the next."""
    return [moment.replace(second=0, microsecond=0) for moment in moments]


@pytest.mark.parametrize(("months", "style"), ROWS, ids=[f"{one}, {style.__name__}" for one, style in ROWS])
def test_each_month_is_billed_and_gives_its_credit_once(
    months: str, style: Callable[[Billed, datetime], None]
) -> None:
    zone, texts = MONTHS[months]
    first, *ends = [at(text) for text in texts]
    made = at_start(first - HOUR, time_zone=zone, net_days=365)
    plan = sell(fee("49"), credits=MONTHLY)
    subscribe(decide(made), plan, start_at=first.isoformat())
    for due in (first, *ends):
        style(made, due)
    move_to(made.id, now_of(made.id) + 3 * HOUR)  # the grace of the last invoice
    beat()
    periods = happened_at(made, "subscription.started", "subscription.renewed")
    assert to_the_minute(periods) == [first, *ends]
    invoices = "SELECT period_start, dated_at FROM invoices WHERE organization = %s ORDER BY dated_at"
    assert len(found_by(invoices, made.id)) == len(periods)
    grants = "SELECT expires_at FROM credit_grants WHERE organization = %s ORDER BY expires_at"
    ended = [row[0].astimezone(UTC) for row in found_by(grants, made.id)]
    assert to_the_minute(ended[: len(ends)]) == ends
    assert len(ended) == len(periods)
    made.assert_sound()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
@pytest.mark.parametrize("start", ["2027-03-26T01:30", "2027-10-29T00:30"], ids=["spring", "autumn"])
def test_each_step_of_dunning_is_done_once_at_the_same_time_of_the_wall_clock(
    start: str, style: Callable[[Billed, datetime], None]
) -> None:
    made = at_start(at(start) - 2 * HOUR, time_zone="Europe/Berlin", net_days=0)
    dunned = Dunned(made, [], has_method=False)
    subscribe(decide(made), sell(fee("49")))
    beat()
    with usual_policy((1, "notify"), (2, "throttle"), (3, "suspend")):
        move_to(made.id, at(start))
        beat()
        beat()
    case = dunned.case()
    for step in range(3):
        style(made, case.moment(step))
    done = """
    SELECT type, (data->>'due_at')::timestamptz FROM events WHERE organization = %s AND stream_id = %s ORDER BY seq
    """
    found = [(name.partition(".")[2], due) for name, due in found_by(done, made.id, case.id)]
    assert [name for name, _ in found] == ["opened", "reminded", "grace", "suspended"]
    berlin = ZoneInfo("Europe/Berlin")
    walls = [due.astimezone(berlin).replace(tzinfo=None) for _, due in found[1:]]
    day_0 = case.anchor_at.astimezone(berlin).replace(tzinfo=None)
    meant = [day_0 + timedelta(days=n) for n in (1, 2, 3)]
    assert walls == [GAP_END if wall.date() == GAP_END.date() and wall.hour == 2 else wall for wall in meant]
    assert dunned.notices() == ["past_due", "reminder_1", "grace", "suspended"]
    made.assert_sound()


@pytest.fixture
def capped() -> Iterator[Any]:
    """A customer of the real clock in Auckland whose month's cap lets one top-up through."""
    customer, api = buyer(time_zone="Pacific/Auckland")
    assert api.put(RULE, rule(amount="50", monthly_cap="50", threshold="1000")).status_code == 200
    yield customer
    api.put(RULE, rule(enabled=False))


@pytest.mark.parametrize(
    ("before", "buys"),
    [(timedelta(seconds=1), True), (timedelta(0), False)],
    ids=["last month", "this month"],
)
def test_the_cap_of_a_month_counts_from_its_first_midnight_where_the_customer_is(
    capped: Any, before: timedelta, buys: bool
) -> None:
    payment = checks(capped)
    since = month_start(datetime.now(UTC), "Pacific/Auckland")
    (made_at,) = found_by("SELECT created_at FROM payments WHERE id = %s", payment)[0]
    change = "UPDATE payments SET created_at = %s, status = %s WHERE id = %s"
    write(lambda cur: cur.execute(change, (since - before, "succeeded", payment)))
    at_once(lambda _: top_up_due(), callers=2)
    asked = found_by("SELECT id FROM payments WHERE organization = %s", capped.id)
    write(lambda cur: cur.execute(change, (made_at, "requested", payment)))  # as its events say
    assert len(asked) == 1 + buys

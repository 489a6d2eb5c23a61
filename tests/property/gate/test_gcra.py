"""Rate limits with a burst beside a plain reference: a leaky bucket in exact fractions, under arrivals at random.

In no interval whatever do more than burst + rate * time pass, and nothing is refused that the reference would let pass.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, example, given, settings

from common.ids import new_id
from spend.rules.limits import RateLimit
from spend.rules.meters import Meter, meter_of_limit, refusal_of_meter, take
from spend.rules.state import Counter, Layer
from spend.rules.windows import EPOCH
from tests.builders.gate import Customer, reserve_body
from tests.builders.limits import batch, limit, limited
from tests.builders.orgs import unique
from tests.builders.sizes import some
from tests.invariants import reading

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "billing_cycle": 30 * 86_400}
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
# Rates whose distance between two units is a whole number of nanoseconds: with them the two agree exactly.
EVEN = st.sampled_from([1, 2, 3, 5, 10, 60, 1000, 3600, 10**6])
STEPS = st.one_of(
    st.sampled_from([0, 1, 10**6, 60 * 10**6]), st.integers(0, 5 * 10**6), st.integers(0, 10**11)
)
ARRIVALS = st.lists(st.tuples(STEPS, st.integers(1, 12)), min_size=1, max_size=60)


@dataclass
class Bucket:
    """The reference: it drips at the rate and takes a call that still fits."""

    burst: int
    rate: Fraction
    level: Fraction = Fraction(0)
    at: datetime = START
    passed: list[tuple[datetime, int]] = field(default_factory=list)

    def room(self, at: datetime, units: int) -> bool:
        """Whether a call fits at a moment; the bucket drips until then."""
        self.level = max(Fraction(0), self.level - self.rate * microseconds(at - self.at))
        self.at = at
        return self.level + units <= self.burst

    def fill(self, at: datetime, units: int) -> None:
        """Take a call."""
        self.level += units
        self.passed.append((at, units))


def microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def limit_of(amount: int, window: str, burst: int) -> RateLimit:
    return RateLimit(
        id=str(new_id()), organization=str(new_id()), scope="organization", target_id=None, target_label=None,
        per=None, unit="requests", direction=None, amount_limit=amount, window_kind=window, burst=burst,
        behaviour="reject", escalate_denials=None, escalate_seconds=None, active_from=None, active_until=None,
        time_zone="UTC", mode="enforce", version=1, created_at=START,
    )  # fmt: skip


class Metered:
    """The gate's meter with its counter."""

    def __init__(self, limit: RateLimit) -> None:
        self.meter: Meter = meter_of_limit(limit)
        self.counter = Counter(1, str(limit.id), "", EPOCH, None)

    def ask(self, at: datetime, units: int) -> Any:
        """None: it passes and is counted; else why not."""
        layer = Layer(self.meter, self.counter, units)  # type: ignore[arg-type]
        refusal = refusal_of_meter(layer, at)
        if refusal is None:
            take(layer, at)
        return refusal


def most_in_any_interval(passed: list[tuple[datetime, int]], burst: int, rate: Fraction) -> None:
    """Fail where an interval between two calls, both included, has more than burst + rate * time."""
    for first, (begins, _) in enumerate(passed):
        units = 0
        for at, taken in passed[first:]:
            units += taken
            assert units <= burst + rate * microseconds(at - begins)


@settings(max_examples=some(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    amount=EVEN,
    window=st.sampled_from(["second", "minute", "hour"]),
    burst=st.integers(1, 15),
    arrivals=ARRIVALS,
)
@example(amount=1, window="second", burst=1, arrivals=[(0, 1), (999_999, 1), (1, 1)])
def test_even_rates_pass_exactly_what_the_reference_passes(
    amount: int, window: str, burst: int, arrivals: list[tuple[int, int]]
) -> None:
    whole = SECONDS[window] * 10**9 % amount == 0
    rate = Fraction(amount, SECONDS[window] * 10**6)
    bucket, metered, at = Bucket(burst, rate), Metered(limit_of(amount, window, burst)), START
    for step, units in arrivals:
        at += timedelta(microseconds=step)
        fits, refusal = bucket.room(at, units), metered.ask(at, units)
        if whole:
            assert (refusal is None) == fits
        if refusal is None:
            bucket.fill(at, units)
    most_in_any_interval(bucket.passed, burst, rate)


@settings(max_examples=some(300), deadline=None)
@given(
    amount=st.integers(1, 10**5),
    window=st.sampled_from(sorted(SECONDS)),
    burst=st.integers(1, 15),
    arrivals=ARRIVALS,
)
def test_no_rate_lets_more_pass_than_burst_and_rate_times_time(
    amount: int, window: str, burst: int, arrivals: list[tuple[int, int]]
) -> None:
    rate = Fraction(amount, SECONDS[window] * 10**6)
    metered, at, passed = Metered(limit_of(amount, window, burst)), START, list[tuple[datetime, int]]()
    for step, units in arrivals:
        at += timedelta(microseconds=step)
        if metered.ask(at, units) is None:
            passed.append((at, units))
    most_in_any_interval(passed, burst, rate)


@settings(max_examples=some(200), deadline=None)
@given(
    amount=EVEN,
    window=st.sampled_from(["second", "minute", "hour"]),
    burst=st.integers(1, 15),
    arrivals=ARRIVALS,
)
def test_what_is_refused_fits_after_its_time_and_not_a_second_before(
    amount: int, window: str, burst: int, arrivals: list[tuple[int, int]]
) -> None:
    metered, at = Metered(limit_of(amount, window, burst)), START
    for step, units in arrivals:
        at += timedelta(microseconds=step)
        refusal = metered.ask(at, units)
        if refusal is None:
            continue
        if refusal.seconds is None:
            assert units > burst
            continue
        layer = Layer(metered.meter, metered.counter, units)  # type: ignore[arg-type]
        assert refusal_of_meter(layer, at + timedelta(seconds=refusal.seconds)) is None
        assert refusal.seconds == 1 or refusal_of_meter(layer, at + timedelta(seconds=refusal.seconds - 1))
        if refusal.remaining:
            fitting = Layer(metered.meter, metered.counter, refusal.remaining)  # type: ignore[arg-type]
            assert refusal_of_meter(fitting, at) is None


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rate=st.sampled_from([(60, "minute"), (20, "minute"), (3_600, "hour"), (2, "second")]),
    burst=st.integers(1, 8),
    rounds=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=1, max_size=8),
)
def test_the_gate_passes_what_the_reference_passes(
    rate: tuple[int, str], burst: int, rounds: list[tuple[int, int]]
) -> None:
    """Through HTTP: the moments are those that the gate wrote down."""
    amount, window = rate
    customer = limited()
    limit(customer, amount, window=window, burst=burst)
    for calls, pause in rounds:
        batch(customer, *[reserve_body(subject={"run": unique()}) for _ in range(calls)])
        if pause:
            customer.pass_time(seconds=pause)
    bucket = Bucket(burst, Fraction(amount, SECONDS[window] * 10**6))
    for answer, count, at in decided(customer):
        bucket.at = min(bucket.at, at) if not bucket.passed else bucket.at
        for _ in range(count):
            fits = bucket.room(at, 1)
            assert fits == (answer != "deny")
            if fits:
                bucket.fill(at, 1)
    most_in_any_interval(bucket.passed, bucket.burst, bucket.rate)


def decided(customer: Customer) -> list[tuple[str, int, datetime]]:
    """The gate's answers in their order: answer, how many equal ones, when."""
    with reading() as connection:
        return connection.execute(
            "SELECT answer, count, at FROM v_decisions WHERE organization = %s ORDER BY at, answer",
            (customer.id,),
        ).fetchall()

"""What rate limits do beyond counting (S48c, S51): behaviours, escalation, hops, active hours, observe mode, change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.builders.gate import Customer, body_of, reserve_body
from tests.builders.limits import (
    batch,
    change,
    counters,
    limit,
    limited,
    move_to,
    move_to_morning,
    observed,
    open_incidents,
    refused,
    told,
)
from tests.builders.orgs import (
    make_agent,
)


@pytest.fixture
def customer() -> Customer:
    made = limited()
    move_to_morning(made)
    return made


class TestBehaviours:
    def test_throttle_doubles_the_wait_for_each_further_attempt(self, customer: Customer) -> None:
        limit(customer, 900, burst=1, behaviour="throttle")  # one in four seconds
        asked = [reserve_body(subject={"run": "r", "step": n, "attempt": n}) for n in (1, 2, 3, 4, 5)]
        results = batch(customer, reserve_body(), *asked)
        assert [one["body"].get("retry_after") for one in results[1:]] == [4, 8, 16, 32, 60]

    def test_reject_says_the_exact_time_at_every_attempt(self, customer: Customer) -> None:
        limit(customer, 900, burst=1)
        asked = [reserve_body(subject={"run": "r", "step": n, "attempt": n}) for n in (1, 2, 3)]
        results = batch(customer, reserve_body(), *asked)
        assert [one["body"].get("retry_after") for one in results[1:]] == [4, 4, 4]


class TestEscalation:
    """S51: absent = off; only 429s count."""

    def test_pauses_the_target_of_a_client_in_a_loop(self, customer: Customer) -> None:
        make_agent(customer.id, "other", "Other")
        made = limit(customer, 1, scope="agent", escalate={"denials": 3, "seconds": 60})
        customer.reserved()
        for _ in range(3):
            refused(customer.reserve())
        assert body_of(customer.reserve(), 403)["code"] == "paused"
        customer.reserved(subject={"agent": "other"})
        customer.pass_time(hours=2)
        assert body_of(customer.reserve(), 403)["code"] == "paused"
        ((trigger, action, scope, rule, mode, evidence),) = open_incidents(customer)
        assert (trigger, action, scope, mode) == ("rate_escalation", "pause", "agent", "enforce")
        assert (rule, evidence["denials"]) == (made["id"], 3)

    def test_is_off_unless_it_is_set(self, customer: Customer) -> None:
        limit(customer, 0)
        assert told(customer, 30) == {"rate_limited": 30}
        assert open_incidents(customer) == []

    def test_counts_denials_of_its_time_only(self, customer: Customer) -> None:
        limit(customer, 0, escalate={"denials": 3, "seconds": 60})
        for _ in range(4):
            assert told(customer, 2)["rate_limited"] == 2
            customer.pass_time(minutes=5)
        assert open_incidents(customer) == []

    def test_does_not_count_refusals_for_money(self, customer: Customer) -> None:
        customer.budget("0")
        limit(customer, 100, escalate={"denials": 2, "seconds": 3600})
        for _ in range(5):
            assert customer.reserve().status_code == 402
        assert open_incidents(customer) == []

    def test_pauses_inside_a_batch(self, customer: Customer) -> None:
        limit(customer, 1, scope="agent", escalate={"denials": 3, "seconds": 60})
        assert told(customer, 6) == {"201": 1, "rate_limited": 3, "paused": 2}

    @pytest.mark.parametrize("scope", ["user", "agent"])
    def test_pauses_the_caller_where_each_is_counted_on_its_own(self, customer: Customer, scope: str) -> None:
        per, target = ("agent", "acme/joe") if scope == "user" else ("user", "bot")
        limit(customer, 0, scope=scope, target=target, per=per, escalate={"denials": 2, "seconds": 60})
        make_agent(customer.id, "other", "Other")
        subject = {"user": "acme/joe"}
        assert told(customer, 4, subject=subject) == {"rate_limited": 2, "paused": 2}
        rest = {"agent": "other", **subject} if per == "agent" else {"user": "someone/else"}
        assert told(customer, 1, subject=rest) == {"rate_limited": 1}

    def test_pauses_a_user_whose_label_has_a_slash(self, customer: Customer) -> None:
        limit(customer, 0, scope="user", target="acme/joe", escalate={"denials": 2, "seconds": 60})
        assert told(customer, 4, subject={"user": "acme/joe"}) == {"rate_limited": 2, "paused": 2}
        assert told(customer, 1, subject={"user": "acme"}) == {"201": 1}


class TestHops:
    """S50: inner calls are limited as the outermost."""

    def test_calls_of_child_runs_take_from_the_same_limits(self, customer: Customer) -> None:
        limit(customer, 3, scope="agent")
        customer.reserved(subject={"run": "root"})
        customer.reserved(subject={"run": "child", "parent_run": "root"})
        customer.reserved(subject={"run": "grandchild", "parent_run": "child", "hop": 2})
        for subject in ({"run": "root"}, {"run": "child"}, {"run": "grandchild", "hop": 3}):
            refused(customer.reserve(subject=subject))


class TestActiveHours:
    def test_hold_between_their_times_only(self, customer: Customer) -> None:
        made = limit(customer, 0, active_hours={"from": "10:00", "until": "17:00"})
        assert told(customer, 1) == {"201": 1}
        customer.pass_time(hours=1)
        assert told(customer, 1) == {"rate_limited": 1}
        customer.pass_time(hours=7)
        assert told(customer, 1) == {"201": 1}
        assert counters(customer, made) == []

    def test_go_over_midnight(self, customer: Customer) -> None:
        limit(customer, 0, active_hours={"from": "22:00", "until": "06:00"})
        assert told(customer, 1) == {"201": 1}  # 9:00
        customer.pass_time(hours=14)
        assert told(customer, 1) == {"rate_limited": 1}  # 23:00
        customer.pass_time(hours=6)
        assert told(customer, 1) == {"rate_limited": 1}  # 5:00
        customer.pass_time(hours=2)
        assert told(customer, 1) == {"201": 1}  # 7:00

    @pytest.mark.parametrize("clocks", ["forward", "back"])
    def test_follow_the_wall_clock_when_the_clocks_change(self, clocks: str) -> None:
        zone = ZoneInfo("America/New_York")
        customer = limited(time_zone="America/New_York")
        change_day = next_change(zone, forward=clocks == "forward")
        limit(customer, 0, active_hours={"from": "02:30", "until": "04:00"})
        begins = change_day.replace(
            hour=3 if clocks == "forward" else 2, minute=0 if clocks == "forward" else 30
        )
        ends = change_day.replace(hour=4)
        verdicts: list[str] = []
        for moment in (
            begins - timedelta(minutes=2), begins + timedelta(minutes=2), ends - timedelta(minutes=2),
            ends + timedelta(minutes=2),
        ):  # fmt: skip
            move_to(customer, instant_at(moment, begins, ends, zone))
            verdicts += told(customer, 1)
        assert verdicts == ["201", "rate_limited", "rate_limited", "201"]

    def test_that_the_clocks_skip_altogether_do_not_come(self) -> None:
        zone = ZoneInfo("America/New_York")
        customer = limited(time_zone="America/New_York")
        day = next_change(zone, forward=True)
        limit(customer, 0, active_hours={"from": "02:15", "until": "02:45"})
        move_to(customer, day.replace(hour=12, tzinfo=zone).astimezone(UTC))
        assert told(customer, 1) == {"201": 1}
        move_to(customer, (day + timedelta(days=1)).replace(hour=2, minute=20, tzinfo=zone).astimezone(UTC))
        assert told(customer, 1) == {"rate_limited": 1}


def next_change(zone: ZoneInfo, *, forward: bool) -> datetime:
    """The next local midnight (without zone) of a day on which the clocks change this way, far enough ahead."""
    day = (datetime.now(zone) + timedelta(days=2)).replace(
        tzinfo=None, hour=0, minute=0, second=0, microsecond=0
    )
    while True:
        offsets = [(day + timedelta(hours=h)).replace(tzinfo=zone).utcoffset() for h in (0, 12)]
        assert offsets[0] is not None and offsets[1] is not None
        if (offsets[1] > offsets[0]) if forward else (offsets[1] < offsets[0]):
            return day
        day += timedelta(days=1)


def instant_at(moment: datetime, begins: datetime, ends: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a moment that is counted from a wall time that exists, across the change of the clocks."""
    near = begins if abs(moment - begins) < abs(moment - ends) else ends
    return near.replace(tzinfo=zone).astimezone(UTC) + (moment - near)


class TestObserveMode:
    """S45: an observed limit refuses nothing, and says what it would refuse."""

    def test_lets_pass_and_says_what_it_would_refuse(self, customer: Customer) -> None:
        made = limit(customer, 2, mode="observe")
        assert told(customer, 5) == {"201": 5}
        (row,) = counters(customer, made)
        assert (row["used"], row["remaining"]) == (2, 0)
        found = [verdict for verdicts in observed(customer) for verdict in verdicts]
        assert {verdict["rule"] for verdict in found} == {made["id"]}
        assert {verdict["code"] for verdict in found} == {"rate_limited"}

    def test_becomes_enforced_by_one_patch(self, customer: Customer) -> None:
        made = limit(customer, 2, mode="observe")
        customer.reserved()
        assert change(customer, made, mode="enforce")["mode"] == "enforce"
        assert told(customer, 3) == {"201": 2, "rate_limited": 1}

    def test_pauses_nobody(self, customer: Customer) -> None:
        limit(customer, 0, mode="observe", escalate={"denials": 1, "seconds": 60})
        assert told(customer, 5) == {"201": 5}

    def test_off_neither_counts_nor_says_anything(self, customer: Customer) -> None:
        made = limit(customer, 0, mode="off")
        assert told(customer, 3) == {"201": 3}
        assert counters(customer, made) == []
        assert observed(customer) == []


class TestAChange:
    """S42: it takes effect at the next decision."""

    def test_raises_and_lowers_at_once(self, customer: Customer) -> None:
        made = limit(customer, 2)
        assert told(customer, 3) == {"201": 2, "rate_limited": 1}
        change(customer, made, limit=4)
        assert told(customer, 3) == {"201": 2, "rate_limited": 1}
        change(customer, made, limit=1)
        body = refused(customer.reserve())
        assert body["binding"]["remaining"] == "0"
        customer.api.post(f"/v1/rate-limits/{made['id']}/archive")
        assert told(customer, 3) == {"201": 3}

    def test_of_a_meters_limit_does_not_wait_for_what_the_old_rate_let_pass(self, customer: Customer) -> None:
        made = limit(customer, 1, window="day", burst=10)
        assert told(customer, 11) == {"201": 10, "rate_limited": 1}
        change(customer, made, limit=24)
        assert told(customer, 11) == {"201": 10, "rate_limited": 1}
        customer.pass_time(hours=1)
        assert told(customer, 11) == {"201": 1, "rate_limited": 10}
        assert counters(customer, made)[0]["remaining"] == 0
        change(customer, made, limit=1)
        assert told(customer, 1) == {"rate_limited": 1}

    def test_of_a_meters_limit_keeps_what_it_let_pass(self, customer: Customer) -> None:
        made = limit(customer, 60, burst=5)
        assert told(customer, 5) == {"201": 5}
        change(customer, made, behaviour="throttle")
        assert told(customer, 1) == {"rate_limited": 1}

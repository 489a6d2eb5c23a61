"""What rate limits do to calls (S48 to S53): every scope, unit and window, alone and together, and never with money."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from spend.operations.prices.publish import publish_tool_price
from tests.builders.gate import Customer, make_model, reserve_body
from tests.builders.limits import (
    SCOPES,
    batch,
    change,
    counters,
    limit,
    limited,
    move_to,
    move_to_morning,
    refused,
    reservations,
    tally,
    told,
)
from tests.builders.orgs import (
    Caller,
    make_agent,
    make_connection,
    make_key,
    make_team,
    make_workflow,
    unique,
    write,
)
from tests.invariants import Still


@pytest.fixture
def customer() -> Customer:
    made = limited()
    move_to_morning(made)
    return made


class TestARefusal:
    def test_says_which_limit_what_remains_and_when_it_would_fit(self, customer: Customer) -> None:
        made = limit(customer, 3, scope="agent", target="bot")
        assert told(customer, 3) == {"201": 3}
        (row,) = counters(customer, made)
        move_to(customer, datetime.fromisoformat(row["window_end"]) - timedelta(seconds=30))
        body = refused(customer.reserve())
        assert (body["code"], body["retryable"]) == ("rate_limited", True)
        assert 1 <= body["retry_after"] <= 30
        shown = {name: body["binding"][name] for name in ("scope", "target", "rule", "unit", "limit")}
        assert shown == {
            "scope": "agent",
            "target": "bot",
            "rule": made["id"],
            "unit": "requests",
            "limit": "3",
        }
        assert (body["binding"]["remaining"], body["binding"]["requested"]) == ("0", "1")
        customer.pass_time(seconds=body["retry_after"])
        customer.reserved()

    def test_of_what_never_fits_says_no_time(self, customer: Customer) -> None:
        limit(customer, 0)
        assert "retry_after" not in refused(customer.reserve())

    def test_holds_no_money_and_moves_no_counter(self, customer: Customer) -> None:
        customer.budget("1000")
        limit(customer, 1)
        wide = limit(customer, 5, window="day")
        customer.reserved()
        with Still(customer.id, decisions=1):
            refused(customer.reserve())
        assert reservations(customer) == 1
        assert [row["used"] for row in counters(customer, wide)] == [1]

    def test_stores_no_key_so_that_the_same_call_may_come_again(self, customer: Customer) -> None:
        made = limit(customer, 0)
        refused(customer.reserve(key="again"))
        change(customer, made, limit=1)
        assert customer.reserve(key="again").status_code == 201

    def test_comes_before_one_for_money(self, customer: Customer) -> None:
        customer.budget("0")
        limit(customer, 0)
        body = refused(customer.reserve())
        assert [other["scope"] for other in body["also_failing"]] == ["organization"]

    def test_for_money_takes_nothing_of_a_limit(self, customer: Customer) -> None:
        budget = customer.budget("0")
        made = limit(customer, 5)
        metered = limit(customer, 5, burst=5)
        for _ in range(3):
            assert customer.reserve().status_code == 402
        assert counters(customer, made) == counters(customer, metered) == []
        customer.change_budget(budget, limit="100")
        assert told(customer, 6) == {"201": 5, "rate_limited": 1}

    def test_of_a_dry_run_is_told_and_takes_nothing(self, customer: Customer) -> None:
        made = limit(customer, 1)
        assert customer.dry()["decision"] == "allow"
        assert counters(customer, made) == []
        customer.reserved()
        shown = customer.dry()
        assert (shown["decision"], shown["code"]) == ("deny", "rate_limited")

    def test_leaves_a_decision(self, customer: Customer) -> None:
        limit(customer, 0)
        refused(customer.reserve())
        (decision,) = customer.api.get("/v1/decisions").json()["data"]
        assert (decision["answer"], decision["code"]) == ("deny", "rate_limited")


class TestAScope:
    """S48: each scope, of one target or of each of its kind."""

    @pytest.fixture
    def place(self) -> Customer:
        """A customer with two of everything; `bot` is in team `red`, `other` in none."""
        customer = limited(agents=())
        make_team(customer.id, "red", "Red")
        make_team(customer.id, "blue", "Blue")
        make_agent(customer.id, "bot", "Bot", team="red")
        make_agent(customer.id, "other", "Other", team="blue")
        for key in ("one", "two"):
            make_workflow(customer.id, key, key.capitalize())
            make_connection(customer.id, key, key.capitalize())
        move_to_morning(customer)
        return customer

    @pytest.mark.parametrize(
        ("scope", "target", "mine", "others"),
        [
            ("agent", "bot", {"agent": "bot"}, {"agent": "other"}),
            ("team", "red", {"agent": "bot"}, {"agent": "other"}),
            ("workflow", "one", {"workflow": "one"}, {"workflow": "two"}),
            ("connection", "one", {"connection": "one"}, {"connection": "two"}),
            ("user", "u-1", {"user": "u-1"}, {"user": "u-2"}),
        ],
    )
    def test_limits_its_target_or_each_of_its_kind(
        self, place: Customer, scope: str, target: str, mine: Any, others: Any
    ) -> None:
        made = limit(place, 2, scope=scope, target=target)
        assert told(place, 3, subject=mine) == {"201": 2, "rate_limited": 1}
        assert told(place, 3, subject=others) == {"201": 3}
        assert [(row["target"], row["used"], row["remaining"]) for row in counters(place, made)] == [
            (target, 2, 0)
        ]
        place.api.post(f"/v1/rate-limits/{made['id']}/archive")
        each = limit(place, 2, scope=scope)
        assert told(place, 3, subject=mine) == {"201": 2, "rate_limited": 1}
        assert told(place, 3, subject=others) == {"201": 2, "rate_limited": 1}
        assert len(counters(place, each)) == 2

    def test_organization_limits_all_together(self, place: Customer) -> None:
        made = limit(place, 3)
        assert told(place, 2, subject={"agent": "bot"}) == {"201": 2}
        assert told(place, 2, subject={"agent": "other"}) == {"201": 1, "rate_limited": 1}
        assert [(row["target"], row["used"]) for row in counters(place, made)] == [(None, 3)]

    def test_key_limits_one_api_key_or_each(self, place: Customer) -> None:
        issued = make_key(place.id, *SCOPES)
        second = Customer(place.id, Caller(issued.secret))
        one = limit(place, 1, scope="key", target=str(issued.key.id))
        assert told(second, 2) == {"201": 1, "rate_limited": 1}
        assert told(place, 2) == {"201": 2}
        assert [row["target"] for row in counters(place, one)] == [str(issued.key.id)]
        place.api.post(f"/v1/rate-limits/{one['id']}/archive")
        limit(place, 1, scope="key")
        assert told(second, 2) == {"201": 1, "rate_limited": 1}
        assert told(place, 2) == {"201": 1, "rate_limited": 1}

    def test_leaves_calls_without_such_a_target_alone(self, place: Customer) -> None:
        for scope in ("user", "workflow", "connection"):
            limit(place, 0, scope=scope)
        assert told(place, 3) == {"201": 3}

    @pytest.mark.parametrize("per", ["agent", "workflow", "user"])
    def test_counts_each_caller_on_its_own(self, place: Customer, per: str) -> None:
        names = {"agent": ("bot", "other"), "workflow": ("one", "two"), "user": ("a/b", "c")}[per]
        made = limit(place, 2, scope="connection", target="one", per=per)
        for name in names:
            subject = {"connection": "one", per: name}
            assert told(place, 3, subject=subject) == {"201": 2, "rate_limited": 1}
        assert sorted((row["target"], row["caller"], row["used"]) for row in counters(place, made)) == [
            ("one", name, 2) for name in sorted(names)
        ]

    def test_counts_each_agent_of_a_user_on_its_own(self, place: Customer) -> None:
        made = limit(place, 2, scope="user", per="agent")
        for user in ("acme/joe", "acme%2Fjoe"):
            assert told(place, 3, subject={"user": user, "agent": "bot"}) == {"201": 2, "rate_limited": 1}
        assert told(place, 2, subject={"user": "acme/joe", "agent": "other"}) == {"201": 2}
        assert sorted((row["target"], row["caller"]) for row in counters(place, made)) == [
            ("acme%2Fjoe", "bot"),
            ("acme/joe", "bot"),
            ("acme/joe", "other"),
        ]

    def test_counts_each_key_of_a_target_on_its_own(self, place: Customer) -> None:
        second = Customer(place.id, Caller(make_key(place.id, *SCOPES).secret))
        limit(place, 1, scope="agent", target="bot", per="key")
        assert told(place, 2) == told(second, 2) == {"201": 1, "rate_limited": 1}


WINDOWS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "billing_cycle": timedelta(days=31),
}


class TestAWindow:
    """S48, S48b: a fixed window begins anew; a limit per second is a meter."""

    @pytest.mark.parametrize("window", WINDOWS)
    def test_resets_with_its_period(self, customer: Customer, window: str) -> None:
        made = limit(customer, 3, window=window)
        assert told(customer, 5) == {"201": 3, "rate_limited": 2}
        (row,) = counters(customer, made)
        assert (row["used"], row["remaining"], row["resets_at"]) == (3, 0, row["window_end"])
        move_to(customer, datetime.fromisoformat(row["window_end"]))
        assert told(customer, 5) == {"201": 3, "rate_limited": 2}
        assert counters(customer, made)[0]["window_start"] == row["window_end"]

    @pytest.mark.parametrize("window", WINDOWS)
    def test_refuses_until_its_period_ends(self, customer: Customer, window: str) -> None:
        limit(customer, 1, window=window)
        results = batch(customer, reserve_body(), reserve_body())
        wait = results[1]["body"]["retry_after"]
        assert 1 <= wait <= WINDOWS[window].total_seconds()
        customer.pass_time(seconds=wait)
        assert told(customer, 1) == {"201": 1}

    def test_of_a_second_is_a_meter(self, customer: Customer) -> None:
        limit(customer, 4, window="second")
        assert told(customer, 10) == {"201": 4, "rate_limited": 6}
        customer.pass_time(seconds=1)
        assert told(customer, 10) == {"201": 4, "rate_limited": 6}

    def test_is_that_of_the_organizations_zone(self) -> None:
        customer = limited(time_zone="America/New_York")
        move_to_morning(customer, "America/New_York")
        made = limit(customer, 1, window="day")
        customer.reserved()
        (row,) = counters(customer, made)
        midnight = datetime.fromisoformat(row["window_end"]).astimezone(ZoneInfo("America/New_York"))
        assert (midnight.hour, midnight.minute) == (0, 0)

    def test_of_a_billing_cycle_is_the_calendar_month(self, customer: Customer) -> None:
        made = limit(customer, 1, window="billing_cycle")
        customer.reserved()
        (row,) = counters(customer, made)
        start, end = (datetime.fromisoformat(row[name]) for name in ("window_start", "window_end"))
        assert (start.day, start.hour, end.day, end.hour) == (1, 0, 1, 0)

    def test_with_a_burst_is_a_meter_that_fills_up_again(self, customer: Customer) -> None:
        made = limit(customer, 60, burst=5)  # one a minute
        assert told(customer, 8) == {"201": 5, "rate_limited": 3}
        (row,) = counters(customer, made)
        assert (row["used"], row["remaining"], row["window_end"]) == (5, 0, None)
        body = refused(customer.reserve())
        assert 1 <= body["retry_after"] <= 60
        customer.pass_time(minutes=2)
        assert told(customer, 8) == {"201": 2, "rate_limited": 6}
        customer.pass_time(hours=2)
        assert told(customer, 8) == {"201": 5, "rate_limited": 3}

    def test_with_a_burst_never_lets_more_than_it_pass_at_once(self, customer: Customer) -> None:
        limit(customer, 1000, burst=5, unit="tokens")
        model = make_model()
        answer = customer.reserve(None, **tokens(model, 6, 0))
        assert "retry_after" not in refused(answer)

    def test_of_a_burst_that_comes_begins_a_new_count(self, customer: Customer) -> None:
        made = limit(customer, 3)
        assert told(customer, 4) == {"201": 3, "rate_limited": 1}
        change(customer, made, burst=2)
        assert told(customer, 4) == {"201": 2, "rate_limited": 2}
        assert [row["used"] for row in counters(customer, made)] == [2]
        change(customer, made, burst=None)
        assert told(customer, 1) == {"rate_limited": 1}
        assert [row["used"] for row in counters(customer, made)] == [3]


def make_tool() -> str:
    """A tool with a price."""
    tool = unique("tool")
    write(
        lambda cur: publish_tool_price(cur, actor="system:test", pattern=tool, amount="0.01", currency="USD")
    )
    return tool


def tokens(model: str, given: int, most: int) -> dict[str, Any]:
    """The fields of a call of a model."""
    return {
        "action": {"kind": "llm.chat", "provider": "acme", "model": model},
        "estimate": {"input_tokens": given, "max_output_tokens": most},
    }


class TestAUnit:
    def test_requests_stay_counted_whatever_becomes_of_them(self, customer: Customer) -> None:
        made = limit(customer, 3)
        first, second = customer.reserved(), customer.reserved()
        assert customer.release(first["id"]).status_code == 200
        assert customer.commit(second["id"], "1").status_code == 200
        assert told(customer, 2) == {"201": 1, "rate_limited": 1}
        assert [row["used"] for row in counters(customer, made)] == [3]

    def test_tokens_count_the_estimate_and_then_what_was_used(self, customer: Customer) -> None:
        made, model = limit(customer, 1000, unit="tokens"), make_model()
        call = tokens(model, 600, 200)
        held = customer.reserved(None, **call)
        (row,) = counters(customer, made)
        assert (row["held"], row["used"], row["remaining"]) == (800, 800, 200)
        body = refused(customer.reserve(None, **call))
        assert body["binding"]["remaining"] == "200"
        usage = {"input_tokens": 100, "output_tokens": 50}
        assert customer.commit(held["id"], usage=usage).status_code == 200
        (row,) = counters(customer, made)
        assert (row["held"], row["used"]) == (0, 150)
        again = customer.reserved(None, **call)
        customer.release(again["id"])
        assert [row["used"] for row in counters(customer, made)] == [150]

    @pytest.mark.parametrize(("direction", "asked", "used"), [("input", 600, 100), ("output", 200, 50)])
    def test_tokens_count_one_direction_only_where_it_is_named(
        self, customer: Customer, direction: str, asked: int, used: int
    ) -> None:
        made, model = limit(customer, 1000, unit="tokens", direction=direction), make_model()
        held = customer.reserved(None, **tokens(model, 600, 200))
        assert [row["used"] for row in counters(customer, made)] == [asked]
        customer.commit(held["id"], usage={"input_tokens": 100, "output_tokens": 50})
        assert [row["used"] for row in counters(customer, made)] == [used]

    def test_tokens_of_a_meter_keep_the_estimate(self, customer: Customer) -> None:
        made, model = limit(customer, 1000, unit="tokens", burst=1000), make_model()
        held = customer.reserved(None, **tokens(model, 600, 200))
        customer.commit(held["id"], usage={"input_tokens": 1, "output_tokens": 1})
        (row,) = counters(customer, made)
        assert 790 <= row["used"] <= 800

    def test_tool_calls_count_the_estimate_and_then_what_was_used(self, customer: Customer) -> None:
        tool = make_tool()
        made = limit(customer, 5, unit="tool_calls")
        held = customer.reserved(None, estimate={"tool_calls": {tool: 4}})
        refused(customer.reserve(None, estimate={"tool_calls": {tool: 2}}))
        customer.commit(held["id"], usage={"tool_calls": {tool: 1}})
        assert [row["used"] for row in counters(customer, made)] == [1]
        customer.reserved(None, estimate={"tool_calls": {tool: 4}})

    def test_concurrent_is_what_is_open(self, customer: Customer) -> None:
        made = limit(customer, 3, unit="concurrent")
        results = batch(customer, *[reserve_body(ttl_seconds=600)] * 5)
        assert tally(results) == {"201": 3, "rate_limited": 2}
        ids = [one["body"]["id"] for one in results[:3]]
        assert counters(customer, made)[0]["held"] == 3
        customer.commit(ids[0], "1")
        assert told(customer, 2) == {"201": 1, "rate_limited": 1}
        customer.release(ids[1])
        assert told(customer, 2) == {"201": 1, "rate_limited": 1}
        customer.pass_time(hours=1)
        customer.sweep()
        assert [row["used"] for row in counters(customer, made)] == [0]
        assert told(customer, 5) == {"201": 3, "rate_limited": 2}

    def test_concurrent_does_not_wait_for_the_sweeper(self, customer: Customer) -> None:
        limit(customer, 1, unit="concurrent")
        customer.reserved(ttl_seconds=60)
        customer.pass_time(minutes=2)
        customer.reserved()

    def test_concurrent_is_told_to_come_again_in_a_moment(self, customer: Customer) -> None:
        limit(customer, 1, unit="concurrent")
        customer.reserved()
        assert refused(customer.reserve())["retry_after"] >= 1


class TestSeveralAtOnce:
    """S48c, S49: all or none."""

    def test_the_strictest_wins(self, customer: Customer) -> None:
        limit(customer, 10)
        limit(customer, 2, scope="agent")
        limit(customer, 4, window="day")
        assert told(customer, 9) == {"201": 2, "rate_limited": 7}
        customer.pass_time(hours=1)
        assert told(customer, 9) == {"201": 2, "rate_limited": 7}
        customer.pass_time(hours=1)
        assert told(customer, 9) == {"rate_limited": 9}

    def test_a_denial_by_one_takes_nothing_of_the_others(self, customer: Customer) -> None:
        narrow = limit(customer, 1, scope="agent", target="bot")
        others = [
            limit(customer, 50),
            limit(customer, 50, burst=50),
            limit(customer, 50, unit="concurrent"),
            limit(customer, 50, scope="agent", window="day"),
        ]
        customer.budget("1000")
        customer.reserved()
        before = [counters(customer, one) for one in others]
        with Still(customer.id, decisions=5):
            for _ in range(5):
                refused(customer.reserve())
        after = [counters(customer, one) for one in others]
        meters = (before[1][0].pop("used"), after[1][0].pop("used"))
        assert max(meters) <= 1
        for found in (before, after):
            found[1] = []
        assert after == before
        change(customer, narrow, limit=10)
        assert told(customer, 10) == {"201": 9, "rate_limited": 1}

    def test_the_narrowest_binds_and_the_others_are_named(self, customer: Customer) -> None:
        wide, narrow = limit(customer, 0), limit(customer, 0, scope="agent")
        body = refused(customer.reserve())
        assert body["binding"]["rule"] == narrow["id"]
        assert [other["rule"] for other in body["also_failing"]] == [wide["id"]]

    def test_per_direction_and_per_caller_on_one_connection(self, customer: Customer) -> None:
        make_connection(customer.id, "main", "Main")
        make_agent(customer.id, "other", "Other")
        model = make_model()
        limit(customer, 1000, scope="connection", target="main", unit="tokens", direction="input")
        limit(customer, 100, scope="connection", target="main", unit="tokens", direction="output")
        limit(customer, 2, scope="connection", target="main", per="agent")
        mine, others = ({"subject": {"agent": name, "connection": "main"}} for name in ("bot", "other"))

        def ask(given: int, most: int, who: dict[str, Any]) -> str:
            subject = {"agent": "bot", **who["subject"]}
            body = {**tokens(model, given, most), "subject": subject}
            (result,) = batch(customer, body)
            return str(result["body"].get("code", result["status"]))

        assert ask(500, 90, mine) == "201"
        assert ask(400, 20, mine) == "rate_limited"  # output
        assert ask(501, 10, mine) == "rate_limited"  # input
        assert ask(400, 5, mine) == "201"
        assert ask(1, 1, mine) == "rate_limited"  # two calls of one agent
        assert ask(1, 1, others) == "201"


def test_usage_after_the_fact_takes_nothing_and_is_never_refused(customer: Customer) -> None:
    made = limit(customer, 1)
    customer.reserved()
    for _ in range(3):
        assert customer.use(occurred_at=datetime.now(UTC).isoformat()).status_code == 201
    assert [row["used"] for row in counters(customer, made)] == [1]

"""What rate limits do to calls (S48 to S53): every scope, unit and window, alone and together, and never with money."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from spend.operations.prices.publish import publish_tool_price
from tests.builders.gate import Customer, body_of, make_model, reserve_body
from tests.builders.limits import (
    SCOPES,
    batch,
    change,
    counters,
    limit,
    limited,
    move_to,
    move_to_morning,
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
from tests.invariants import Still, reading


@pytest.fixture
def customer() -> Customer:
    made = limited()
    move_to_morning(made)
    return made


def refused(answer: Any) -> dict[str, Any]:
    """The body of a 429, whose header says the same as it."""
    body = body_of(answer, 429)
    if body.get("retry_after") is not None:
        assert answer.headers["Retry-After"] == str(body["retry_after"])
    return body


def reservations(customer: Customer) -> int:
    with reading() as connection:
        row = connection.execute(
            "SELECT count(*) FROM v_reservations WHERE organization = %s", (customer.id,)
        ).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def open_incidents(customer: Customer) -> list[tuple[Any, ...]]:
    with reading() as connection:
        return connection.execute(
            "SELECT trigger, action, scope, rule_id::text, mode, evidence FROM incidents "
            "WHERE organization = %s AND released_at IS NULL ORDER BY id",
            (customer.id,),
        ).fetchall()


def observed(customer: Customer) -> list[list[dict[str, Any]]]:
    """What the decisions say that observed rules would have refused, oldest first."""
    with reading() as connection:
        rows = connection.execute(
            "SELECT detail->>'observed' FROM decisions WHERE organization = %s AND detail->>'observed' IS NOT NULL "
            "ORDER BY id",
            (customer.id,),
        ).fetchall()
    return [json.loads(row[0]) for row in rows]


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


def test_usage_after_the_fact_takes_nothing_and_is_never_refused(customer: Customer) -> None:
    made = limit(customer, 1)
    customer.reserved()
    for _ in range(3):
        assert customer.use(occurred_at=datetime.now(UTC).isoformat()).status_code == 201
    assert [row["used"] for row in counters(customer, made)] == [1]

"""What rules in observe mode would have blocked (S45), from decisions made by hand against adding up by hand."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.money import parse_amount
from tests.builders.observed import Made, write_decisions
from tests.builders.orgs import Caller, caller, make_agent, make_organization, platform
from tests.builders.spend import Spender, spender

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"
UNIT = 10**8


def report(client: Caller, **query: str) -> dict[str, Any]:
    answer = client.get("/v1/reports/observed", **query)
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class World:
    """An organization with two agents and two budgets, and who made which decision."""

    def __init__(self) -> None:
        self.acme: Spender = spender("0")
        self.client = self.acme.client
        bot = self.client.get("/v1/agents/bot").json()["id"]
        other = make_agent(self.acme.organization, "crawler", "Crawler").id
        self.agents = {"bot": UUID(bot), "crawler": other}
        self.budgets = [self.acme.budget(scope="agent")["id"], self.acme.budget()["id"]]

    def write(self, *made: Made) -> None:
        write_decisions(self.acme.organization, list(made))


@pytest.fixture
def world() -> World:
    return World()


class TestTheReport:
    def test_says_what_each_rule_would_have_blocked(self, world: World) -> None:
        one, two = world.budgets
        bot, crawler = world.agents["bot"], world.agents["crawler"]
        first = datetime.now(UTC) - timedelta(hours=2)
        world.write(
            Made(3 * UNIT, ((one, "budget", "budget_exhausted"),), bot, at=first),
            Made(2 * UNIT, ((one, "budget", "too_large"), (two, "budget", "budget_exhausted")), crawler),
            Made(UNIT // 2, ((one, "threshold", "paused"), (one, "budget", "budget_exhausted")), bot),
            Made(UNIT, (), bot),
        )
        shown = report(world.client)
        by_rule = {row["rule"]: row for row in shown["data"]}
        assert [row["rule"] for row in shown["data"]] == [one, two]
        assert (by_rule[one]["calls"], by_rule[one]["requested"]) == (3, "5.5")
        assert by_rule[one]["summary"] == "would have blocked 3 calls worth 5.50 USD"
        assert by_rule[one]["first_at"] == first.isoformat().replace("+00:00", "Z")
        assert by_rule[one]["last_at"] > by_rule[one]["first_at"]
        assert by_rule[one]["by_code"] == [
            {"kind": "budget", "code": "budget_exhausted", "calls": 2, "requested": "3.5"},
            {"kind": "budget", "code": "too_large", "calls": 1, "requested": "2"},
            {"kind": "threshold", "code": "paused", "calls": 1, "requested": "0.5"},
        ]
        assert by_rule[one]["agents"] == [
            {"agent": "bot", "calls": 2, "requested": "3.5"},
            {"agent": "crawler", "calls": 1, "requested": "2"},
        ]
        assert (by_rule[two]["calls"], by_rule[two]["requested"]) == (1, "2")

    def test_counts_a_call_of_two_rules_once_in_the_total(self, world: World) -> None:
        hits = tuple((budget, "budget", "budget_exhausted") for budget in world.budgets)
        world.write(Made(UNIT, hits, world.agents["bot"]), Made(UNIT, hits[:1], world.agents["bot"]))
        shown = report(world.client)
        assert [row["calls"] for row in shown["data"]] == [2, 1]
        assert (shown["total"]["calls"], shown["total"]["requested"]) == (2, "2")
        assert shown["total"]["summary"] == "would have blocked 2 calls worth 2.00 USD"

    def test_sums_what_a_plain_second_computation_sums(self, world: World) -> None:
        chance = random.Random(7)
        rules = [*world.budgets, None]
        made = []
        for _ in range(120):
            hits = {
                (chance.choice(rules), chance.choice(("budget", "loop")), chance.choice("ab"))
                for _ in range(chance.randrange(4))
            }
            made.append(
                Made(
                    chance.randrange(5 * UNIT),
                    tuple(hits),
                    chance.choice([*world.agents.values(), None]),
                    chance.choice(("allow", "allow", "allow_with_caps", "deny")),
                    count=1,
                    dry=chance.random() < 0.1,
                )
            )
        world.write(*made)
        calls: Counter[str | None] = Counter()
        worth: Counter[str | None] = Counter()
        for each in made:
            if each.dry or not each.hits or each.answer == "deny":
                continue
            names = {str(rule) if rule else kind for rule, kind, _ in each.hits}
            for name in (*names, "total"):
                calls[name] += 1
                worth[name] += each.requested
        shown = report(world.client)
        found = {row["rule"] or row["kind"]: row for row in shown["data"]} | {"total": shown["total"]}
        assert {name: row["calls"] for name, row in found.items()} == dict(calls)
        assert {name: parse_amount(row["requested"]) for name, row in found.items()} == dict(worth)

    def test_leaves_out_what_was_refused_anyway_and_dry_runs(self, world: World) -> None:
        hit = ((world.budgets[0], "budget", "budget_exhausted"),)
        world.write(Made(UNIT, hit, answer="deny", count=4), Made(UNIT, hit, dry=True))
        shown = report(world.client)
        assert (shown["data"], shown["total"]["calls"], shown["total"]["first_at"]) == ([], 0, None)

    def test_tells_what_the_calls_were_charged(self, world: World) -> None:
        acme = spender()
        made = acme.budget()["id"]
        held = acme.reserve("2").json()["id"]
        acme.commit(held, "1.25")
        (decision,) = acme.client.get("/v1/decisions").json()["data"]
        assert decision["observed"] == []
        assert report(acme.client, rule=made)["total"]["calls"] == 0


class TestFilters:
    def test_of_period_rule_and_kind(self, world: World) -> None:
        one, two = world.budgets
        now = datetime.now(UTC)
        for days in (1, 2, 3):
            world.write(
                Made(UNIT, ((one, "budget", "a"), (two, "threshold", "b")), at=now - timedelta(days=days))
            )
        edges = {"from": (now - timedelta(days=2)).isoformat(), "to": (now - timedelta(days=1)).isoformat()}
        assert report(world.client, **edges)["total"]["calls"] == 1  # [from, to)
        assert report(world.client, **{"from": edges["from"]})["total"]["calls"] == 2
        assert [row["rule"] for row in report(world.client, rule=two)["data"]] == [two]
        shown = report(world.client, kind="budget")
        assert [row["rule"] for row in shown["data"]] == [one]
        assert shown["total"]["calls"] == 3

    @pytest.mark.parametrize(
        "query",
        [{"kind": "colour"}, {"rule": "bot"}, {"from": "yesterday"}, {"limit": "3"}, {"until": "x"}],
    )
    def test_that_are_none_are_refused(self, query: dict[str, str]) -> None:
        answer = caller(make_organization()).get("/v1/reports/observed", **query)
        assert answer.status_code == 400
        assert answer.json()["code"] in ("invalid_parameter", "unknown_parameter")

    def test_of_a_period_begin_before_they_end(self) -> None:
        query = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
        answer = caller(make_organization()).get("/v1/reports/observed", **query)
        assert problem(answer) == (400, "invalid_period")


class TestWhoSeesIt:
    def test_nobody_of_another_organization(self, world: World) -> None:
        one = world.budgets[0]
        world.write(Made(UNIT, ((one, "budget", "a"),)))
        stranger = caller(make_organization())
        assert report(stranger)["data"] == []
        unknown = stranger.get("/v1/reports/observed", rule=UNKNOWN)
        foreign = stranger.get("/v1/reports/observed", rule=one)
        assert problem(foreign) == problem(unknown) == (404, "not_found")
        named = stranger.get("/v1/reports/observed", organization=str(world.acme.organization))
        assert problem(named) == (404, "not_found")

    def test_the_platform_of_the_organization_that_it_names(self, world: World) -> None:
        world.write(Made(UNIT, ((world.budgets[0], "budget", "a"),)))
        assert report(platform(), organization=str(world.acme.organization))["total"]["calls"] == 1

    def test_a_key_for_some_agents_of_these_alone(self, world: World) -> None:
        hit = ((world.budgets[1], "budget", "a"),)
        for agent, amount in ((world.agents["bot"], 1), (world.agents["crawler"], 2), (None, 4)):
            world.write(Made(amount * UNIT, hit, agent))
        who = caller(world.acme.organization, "spend:read", agents=["bot"])
        shown = report(who)
        assert (shown["total"]["requested"], shown["data"][0]["calls"]) == ("1", 1)
        assert shown["data"][0]["agents"] == [{"agent": "bot", "calls": 1, "requested": "1"}]

    def test_not_a_key_for_connections_or_without_the_scope(self, world: World) -> None:
        world.client.post("/v1/connections", {"key": "main", "name": "Main"})
        who = caller(world.acme.organization, "spend:read", connections=["main"])
        assert problem(who.get("/v1/reports/observed")) == (403, "not_permitted")
        who = caller(world.acme.organization, "audit:read")
        assert problem(who.get("/v1/reports/observed")) == (403, "forbidden")


class TestDecisions:
    def test_show_and_find_what_observed_rules_would_have_refused(self, world: World) -> None:
        one = world.budgets[0]
        world.write(Made(UNIT, ((one, "budget", "budget_exhausted"),)), Made(2 * UNIT, ()))
        seen = {
            flag: world.client.get("/v1/decisions", observed=flag).json()["data"]
            for flag in ("true", "false")
        }
        assert [row["requested"] for row in seen["true"]] == ["1"]
        assert [row["requested"] for row in seen["false"]] == ["2"]
        assert seen["true"][0]["observed"] == [
            {
                "rule": one,
                "kind": "budget",
                "code": "budget_exhausted",
                "scope": "agent",
                "target": "bot",
            }
        ]
        assert seen["false"][0]["observed"] == []
        answer = world.client.get("/v1/decisions", observed="yes")
        assert problem(answer) == (400, "invalid_parameter")


class TestTheGate:
    """The same through the gate itself: rules in observe mode, calls, the report, and the call that enforces."""

    def post(self, acme: Spender, path: str, **body: Any) -> dict[str, Any]:
        answer = acme.client.post(path, body)
        assert answer.status_code == 201, answer.json()
        found: dict[str, Any] = answer.json()
        return found

    def enforced(self, acme: Spender, row: dict[str, Any]) -> None:
        call = row["enforce"]
        assert call["method"] == "PATCH"
        answer = acme.client.patch(call["path"], call["body"])
        assert (answer.status_code, answer.json()["mode"]) == (200, "enforce")

    def test_says_what_a_budget_would_have_blocked_and_the_call_enforces_it(self) -> None:
        acme = spender()
        rule = acme.budget(scope="agent", limit="3", mode="observe")["id"]
        for _ in range(5):
            acme.call("1.1")
        (row,) = report(acme.client)["data"]
        assert row["summary"] == "would have blocked 3 calls worth 3.30 USD"
        assert (row["rule"], row["kind"], row["mode"], row["charged"]) == (rule, "budget", "observe", "3.3")
        assert row["by_code"] == [
            {"kind": "budget", "code": "budget_exhausted", "calls": 3, "requested": "3.3"}
        ]
        assert row["agents"] == [{"agent": "bot", "calls": 3, "requested": "3.3"}]
        seen = acme.client.get("/v1/decisions", observed="true").json()["data"]
        assert [hit["rule"] for each in seen for hit in each["observed"]] == [rule] * 3
        self.enforced(acme, row)
        assert problem(acme.reserve("1.1")) == (402, "budget_exhausted")
        assert report(acme.client)["data"][0]["enforce"] is None

    def test_names_rate_limits_and_run_policies_too(self) -> None:
        acme = spender()
        limit = self.post(
            acme, "/v1/rate-limits", scope="agent", unit="requests", limit=2, window="day", mode="observe",
            behaviour="reject",
        )["id"]  # fmt: skip
        for _ in range(3):
            acme.call("1", subject={"run": "r-1"})
        (row,) = report(acme.client)["data"]
        assert (row["rule"], row["kind"], row["calls"]) == (limit, "rate_limit", 1)
        assert [part["code"] for part in row["by_code"]] == ["rate_limited"]
        self.enforced(acme, row)
        assert [acme.reserve("1").status_code for _ in range(3)] == [201, 201, 429]  # counted from now on
        policy = self.post(
            acme, "/v1/run-policies", scope="agent", target="bot", max_steps=1, mode="observe"
        )["id"]
        assert report(acme.client, rule=policy)["data"] == []
        for name in ("s-1", "s-1", "s-2"):
            acme.client.patch(f"/v1/rate-limits/{limit}", {"mode": "off"})
            acme.call("1", subject={"run": name})
        (row,) = report(acme.client, rule=policy)["data"]
        assert (row["kind"], row["calls"], row["requested"]) == ("run_policy", 1, "1")
        self.enforced(acme, row)

    def test_would_have_blocked_what_enforcing_blocks_call_by_call(self) -> None:
        observing, enforcing = spender("1000"), spender("1000")
        for acme, mode in ((observing, "observe"), (enforcing, "enforce")):
            acme.budget(scope="agent", limit="20", mode=mode)
            acme.budget(scope="run", window="run", limit="6", mode=mode)
        chance = random.Random(9)
        refused, worth = [], 0
        for number in range(40):
            amount, run = f"{chance.randrange(1, 4)}", f"r-{chance.randrange(6)}"
            assert "charged" in observing.call(amount, subject={"run": run})
            answer = enforcing.reserve(amount, subject={"run": run})
            if answer.status_code == 201:
                enforcing.commit(answer.json()["id"], amount)
            else:
                refused.append(number)
                worth += int(amount)
        decisions = observing.client.get("/v1/decisions", limit="100").json()["data"]
        assert [number for number, each in enumerate(decisions) if each["observed"]] == refused
        total = report(observing.client)["total"]
        assert 0 < len(refused) < 40
        assert (total["calls"], total["requested"]) == (len(refused), str(worth))

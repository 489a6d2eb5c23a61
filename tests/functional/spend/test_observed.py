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
        refused: Counter[str | None] = Counter()
        for each in made:
            if each.dry or not each.hits:
                continue
            names = {str(rule) if rule else kind for rule, kind, _ in each.hits}
            for name in (*names, "total"):
                if each.answer == "deny":
                    refused[name] += each.count
                else:
                    calls[name] += each.count
                    worth[name] += each.requested
        shown = report(world.client)
        found = {row["rule"] or row["kind"]: row for row in shown["data"]} | {"total": shown["total"]}
        assert {name: row["calls"] for name, row in found.items()} == dict(calls)
        assert {name: parse_amount(row["requested"]) for name, row in found.items()} == dict(worth)
        assert {name: row["refused_anyway"] for name, row in found.items()} == dict(refused)

    def test_counts_a_call_that_was_refused_anyway_beside_the_others(self, world: World) -> None:
        hit = ((world.budgets[0], "budget", "budget_exhausted"),)
        world.write(Made(UNIT, hit, answer="deny", count=4), Made(UNIT, hit, dry=True))
        (row,) = report(world.client)["data"]
        assert (row["calls"], row["requested"], row["refused_anyway"]) == (0, "0", 4)
        assert (row["first_at"], row["last_at"]) == (None, None)

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

"""The five runaways (S54 to S58, S61): an agent loops and burns as fast as it can, hundreds of calls, and the server
dies meanwhile. Each is stopped at its ceiling with nothing above it, before any invoice; an incident says why; no call
of the agent beside it is refused. `make soak` runs them with 64 clients and thousands of calls.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.places import free_port
from spend.operations.prices.publish import publish_tool_price
from spend.rules.budgets import Threshold
from tests.builders.gate import Customer, make_customer, make_model, reserve_body, units
from tests.builders.orgs import make_agent, make_team, write
from tests.builders.runaways import (
    CALLS,
    CLIENTS,
    HELD,
    WORKING,
    Burn,
    fits,
    go_on,
    incidents_of,
    kill_and_restart,
    run_away,
    windows_of,
)
from tests.invariants import assert_sound
from tests.servers import Web, serving, web_spec

LIMIT = str(max(40, CALLS // 8))
"""Of every budget that stops: far less than the runaway wants."""
SCOPES = ("admin", "spend:write", "spend:read")
BLOCK = (Threshold("block", 100),)


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process that these tests may kill."""
    port = free_port()
    with serving(web_spec(port), folder=tmp_path_factory.mktemp("runaways")) as child:
        yield Web(f"http://127.0.0.1:{port}", child)


@pytest.fixture
def acme() -> Customer:
    """A customer with credit for everything, the agent that runs away (`bot`) and one that works (`helper`)."""
    return make_customer("1000000", agents=("bot", WORKING), scopes=SCOPES)


def made(customer: Customer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = customer.api.post(path, body)
    assert answer.status_code in (200, 201), answer.content
    found: dict[str, Any] = answer.json()
    return found


def policy(customer: Customer, **rules: Any) -> dict[str, Any]:
    return made(customer, "/v1/run-policies", {"scope": "agent", "target": "bot", **rules})


def looping(number: int = 0, **given: Any) -> dict[str, Any]:
    """A call of the run that loops."""
    return reserve_body(HELD, subject={"run": "loop"}, **given)


def assert_nobody_else_noticed(burn: Burn) -> None:
    assert Counter(reply.status for reply in burn.beside) == {201: len(burn.beside)}


def assert_one_incident(customer: Customer, **expected: Any) -> dict[str, Any]:
    """The one incident: why, about whom, what was spent so far, what was done, and how long it took."""
    incidents = incidents_of(customer)
    assert [one["trigger"] for one in incidents] == [expected.pop("trigger")], incidents
    incident = incidents[0]
    assert {name: incident[name] for name in expected} == expected
    assert incident["time_to_stop_ms"] >= 0 and incident["began_at"] <= incident["opened_at"]
    assert incident["mode"] == "enforce" and incident["released_at"] is None
    return incident


def stopped_by_money(
    server: Web, customer: Customer, burn: Burn, body: dict[str, Any], *, place: tuple[str, str], code: str
) -> Burn:
    """The end of a burn that a budget stopped: exactly what fits was granted, nothing above the limit was spent, and a
    restart changes neither that nor the refusal."""
    rest = go_on(server, customer, body)
    assert set(burn.codes) <= {code, "budget_busy"}
    assert len(burn.granted) + len(rest.granted) == fits(LIMIT)
    limit, spent, held = windows_of(customer)[place]
    assert (spent, held) == (burn.charged + rest.charged, 0)
    assert (burn.overage, rest.overage) == (0, 0)
    assert limit == units(LIMIT) and spent <= limit
    before, after = (reply.json() for reply in rest.refused)
    assert before["code"] == code
    assert (after["binding"], after["also_failing"]) == (before["binding"], before["also_failing"])
    return rest


class TestAnAgentWithoutACapOfItsOwn:
    """S54, S44: what stops it is what every newcomer gets, or the organization's own limit."""

    def test_is_stopped_by_the_default_that_it_never_asked_for(self, server: Web) -> None:
        customer = make_customer("1000000", agents=(WORKING,), scopes=SCOPES)
        default = {"agent": {"budgets": [{"window": "day", "limit": LIMIT}]}}
        assert customer.api.patch("/v1/default-policies", default).status_code == 200
        bot = str(make_agent(customer.id, "bot", "Bot").id)
        body = reserve_body(HELD)
        burn = run_away(server, customer, lambda _: body, is_killed=True)
        stopped_by_money(server, customer, burn, body, place=("agent", bot), code="budget_exhausted")
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            customer, trigger="budget_threshold", action="block", scope="agent", target="bot", agent="bot",
            switch=None, currency="USD",
        )  # fmt: skip
        assert incident["evidence"]["limit"] == units(LIMIT)
        assert units(LIMIT) - units(HELD) < units(incident["spent"]) <= units(LIMIT)
        assert_sound(customer.id, within_limits=True)

    def test_spends_no_more_than_the_organization_may_and_nothing_of_other_organizations(
        self, server: Web, acme: Customer
    ) -> None:
        other = make_customer("100", agents=(WORKING,), scopes=SCOPES)
        acme.budget(LIMIT, window="month", thresholds=BLOCK)
        body = reserve_body(HELD)
        burn = run_away(server, acme, lambda _: body, beside=other)
        stopped_by_money(server, acme, burn, body, place=("organization", ""), code="budget_exhausted")
        assert_nobody_else_noticed(burn)
        assert_one_incident(
            acme, trigger="budget_threshold", action="block", scope="organization", target=None, agent="bot"
        )
        assert incidents_of(other) == []
        assert_sound(acme.id, other.id, within_limits=True)


class TestRetriesWithoutAPause:
    """S55: at most five attempts of a step, each later than the one before, whatever the caller says of itself."""

    def test_are_stopped_when_they_are_counted_honestly(self, server: Web, acme: Customer) -> None:
        def body(number: int) -> dict[str, Any]:
            return reserve_body(HELD, subject={"run": "loop", "step": 1, "attempt": number + 1})

        burn = run_away(server, acme, body, is_killed=True)
        assert set(burn.codes) == {"attempts_exceeded", "backoff_required"} or set(burn.codes) == {
            "attempts_exceeded"
        }
        assert len(burn.granted) <= 5
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            acme, trigger="attempts", action="block", scope="run", target="loop", agent="bot", rule=None
        )
        assert incident["evidence"]["limit"] == 5 and incident["evidence"]["step"] == 1
        assert_sound(acme.id, within_limits=True)

    def test_are_stopped_when_every_retry_says_that_it_is_the_second(
        self, server: Web, acme: Customer
    ) -> None:
        """Time is on its side: a minute passes before each burst, so no pause is in its way; nor is one in a burst that
        takes longer than the pause."""
        body = reserve_body(HELD, subject={"run": "loop", "step": 1, "attempt": 2})
        granted = []
        for turn in range(8):
            burn = run_away(server, acme, lambda _: body, calls=CALLS // 8, is_killed=turn == 2)
            granted.append(len(burn.granted))
            assert_nobody_else_noticed(burn)
            acme.pass_time(seconds=60)
        # They are the second to the fifth, whatever they say.
        assert (sum(granted), granted[0], granted[4:]) == (4, 1, [0, 0, 0, 0])
        assert_one_incident(acme, trigger="attempts", action="block", scope="run", target="loop")

    @pytest.mark.parametrize(("has_step", "attempt"), [(False, 2), (True, 3), (True, 1)])
    def test_are_steps_of_the_run_when_they_retry_nothing(
        self, server: Web, acme: Customer, has_step: bool, attempt: int
    ) -> None:
        """A retry of a step that was never tried, or of none, is a step like any other and meets the ceiling."""
        policy(acme, max_steps=40)

        def body(number: int) -> dict[str, Any]:
            step = {"step": number} if has_step else {}
            return reserve_body(HELD, subject={"run": "loop", "attempt": attempt, **step})

        burn = run_away(server, acme, body)
        assert len(burn.granted) == 40
        assert burn.codes == {"run_ceiling_reached": CALLS - 40}
        assert_nobody_else_noticed(burn)
        assert_one_incident(acme, trigger="run_ceiling", scope="run", target="loop")
        assert_sound(acme.id, within_limits=True)


class TestARunWithoutAnEnd:
    """S56: ceilings of money, tokens, steps, tool calls and wall time, and the detector of repeated calls."""

    def test_is_stopped_when_it_repeats_itself(self, server: Web, acme: Customer) -> None:
        rule = policy(acme, loop={"window": 50, "levels": [{"repeats": 30, "action": "stop"}]})
        body = looping(action={"kind": "tool.call", "fingerprint": "crm.search#4711"})
        burn = run_away(server, acme, lambda _: body, is_killed=True)
        assert len(burn.granted) == 29
        assert burn.codes == {"loop_detected": CALLS - 29}
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            acme, trigger="loop", action="stop", scope="run", target="loop", agent="bot", rule=rule["id"]
        )
        assert incident["evidence"]["repeats"] == 30
        assert incident["evidence"]["fingerprint"] == "crm.search#4711"
        assert units("17") <= units(incident["spent"]) <= units("29")
        kill_and_restart(server)
        burn = run_away(server, acme, looping, calls=CLIENTS)
        assert burn.codes == {"loop_detected": CLIENTS}, "a stopped run does nothing else either"
        assert_sound(acme.id, within_limits=True)

    def test_is_slowed_down_where_nobody_has_said_anything(self, server: Web, acme: Customer) -> None:
        """The house's default warns, then lets one equal call pass each 30 s: a stop is for people to decide."""
        body = looping(action={"kind": "tool.call", "fingerprint": "same"})
        burn = run_away(server, acme, lambda _: body)
        assert len(burn.granted) == 19
        assert burn.codes == {"backoff_required": CALLS - 19}
        assert_nobody_else_noticed(burn)
        assert [one["action"] for one in incidents_of(acme)] == ["warn", "cap"]

    @pytest.mark.parametrize(
        ("rules", "asked", "unit", "most"),
        [
            ({"max_steps": 40}, {}, "steps", 40),
            (
                {"max_tool_calls": 41},
                {"estimate": {"amount": HELD, "tool_calls": {"crm": 2}}},
                "tool_calls",
                20,
            ),
        ],
    )
    def test_is_stopped_at_its_ceiling(
        self, server: Web, acme: Customer, rules: dict[str, int], asked: dict[str, Any], unit: str, most: int
    ) -> None:
        rule = policy(acme, **rules)
        write(lambda cur: publish_tool_price(cur, actor="system:test", pattern="crm", amount="0"))
        burn = run_away(server, acme, lambda _: looping(**asked), charged=None)
        assert len(burn.granted) == most
        assert burn.codes == {"run_ceiling_reached": CALLS - most}
        assert {reply.json()["binding"]["unit"] for reply in burn.refused} == {unit}
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            acme,
            trigger="run_ceiling",
            action="block",
            scope="run",
            target="loop",
            agent="bot",
            rule=rule["id"],
        )
        assert incident["evidence"]["unit"] == unit
        assert units(incident["spent"]) == most * units(HELD)
        kill_and_restart(server)
        assert run_away(server, acme, looping, calls=1, clients=1).codes == (
            {"run_ceiling_reached": 1} if unit == "steps" else {}
        )
        assert_sound(acme.id, within_limits=True)

    def test_is_stopped_when_its_time_is_over(self, server: Web, acme: Customer) -> None:
        policy(acme, max_seconds=3_600)
        burn = run_away(server, acme, looping, meanwhile=lambda: acme.pass_time(seconds=3_601))
        assert set(burn.codes) == {"run_ceiling_reached"}
        assert {reply.json()["binding"]["unit"] for reply in burn.refused} == {"seconds"}
        assert len(burn.granted) < CALLS
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(acme, trigger="run_ceiling", scope="run", target="loop")
        assert incident["time_to_stop_ms"] >= 3_600_000
        assert run_away(server, acme, looping, calls=CLIENTS).codes == {"run_ceiling_reached": CLIENTS}
        assert_sound(acme.id, within_limits=True)

    def test_is_stopped_at_its_tokens(self, server: Web, acme: Customer) -> None:
        model, tokens = make_model(), {"input_tokens": 1_000, "max_output_tokens": 0}
        acme.budget("40000", scope="run", window="run", unit="TOKENS", thresholds=BLOCK)
        body = looping(action={"kind": "llm.chat", "provider": "acme", "model": model}, estimate=tokens)
        used = {"usage": {"input_tokens": 600, "output_tokens": 0}}
        burn = run_away(server, acme, lambda _: body, charged=used)
        rest = go_on(server, acme, body, charged=used)
        assert set(burn.codes) <= {"run_ceiling_reached", "budget_busy"}
        assert len(burn.granted) + len(rest.granted) == 66  # of 600 each, while 1,000 more fit
        assert windows_of(acme)["run", "loop"] == (40_000, 39_600, 0)
        assert_nobody_else_noticed(burn)
        assert_one_incident(acme, trigger="run_ceiling", action="block", scope="run", target="loop")
        assert_sound(acme.id, within_limits=True)


class TestABurstOfSpeed:
    """S57: money that goes faster and faster. Here is what the gate does by itself: the run's ceiling and the pause."""

    def test_is_stopped_at_the_ceiling_of_its_run(self, server: Web, acme: Customer) -> None:
        acme.budget(LIMIT, scope="run", window="run", thresholds=BLOCK)
        burn = run_away(server, acme, looping)
        stopped_by_money(server, acme, burn, looping(), place=("run", "loop"), code="run_ceiling_reached")
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            acme, trigger="run_ceiling", action="block", scope="run", target="loop", agent="bot", run="loop"
        )
        assert units(LIMIT) - units(HELD) < units(incident["spent"]) <= units(LIMIT)
        assert_sound(acme.id, within_limits=True)

    def test_overspends_by_the_error_of_the_calls_in_flight_at_most(
        self, server: Web, acme: Customer
    ) -> None:
        """S61: each call takes a half more than it said. What is above the limit is what was in flight, shown as
        overage to the last unit, and nothing more is granted."""
        acme.budget(LIMIT, scope="run", window="run", thresholds=BLOCK)
        burn = run_away(server, acme, looping, charged="1.5", is_killed=True)
        limit, spent, held = windows_of(acme)["run", "loop"]
        assert (spent, held) == (burn.charged, 0)
        assert burn.overage == len(burn.committed) * units("0.5")
        assert 0 <= spent - limit <= CLIENTS * units("0.5")
        assert set(burn.codes) <= {"run_ceiling_reached", "budget_busy"}
        assert_nobody_else_noticed(burn)
        assert_sound(acme.id)

    def test_is_paused_until_a_person_lets_it_go_on(self, server: Web, acme: Customer) -> None:
        acme.budget(LIMIT, scope="run", window="run", thresholds=(Threshold("pause", 50), *BLOCK))
        burn = run_away(server, acme, looping)
        assert burn.codes == {"paused": len(burn.refused)}
        reached = units(LIMIT) // 2
        assert reached <= sum(units(body["held"]) for body in burn.granted)
        _, spent, held = windows_of(acme)["run", "loop"]
        assert (spent, held) == (burn.charged, 0)
        assert spent <= reached
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            acme, trigger="run_ceiling", action="pause", scope="run", target="loop"
        )
        assert reached <= units(incident["spent"]) < reached + units(HELD)
        kill_and_restart(server)
        assert acme.reserve(subject={"run": "loop"}).json()["code"] == "paused"
        made(acme, f"/v1/incidents/{incident['id']}/release", {"reason": "looked at"})
        again = run_away(server, acme, looping)
        assert set(again.codes) <= {"run_ceiling_reached", "budget_busy"}
        assert len(burn.granted) + len(again.granted) <= fits(LIMIT)
        assert windows_of(acme)["run", "loop"][1] <= units(LIMIT)
        assert_nobody_else_noticed(again)
        pause, block = incidents_of(acme)
        assert (pause["release_reason"], block["action"]) == ("looked at", "block")
        assert_sound(acme.id, within_limits=True)


class TestASharedBudget:
    """S58, S46: who burns is known, and it alone is stopped; however many agents and runs it makes."""

    @pytest.fixture
    def team(self) -> Customer:
        """Three agents with one budget together, so large that nobody meets it."""
        customer = make_customer("1000000", agents=(), scopes=SCOPES)
        shared = make_team(customer.id)
        for agent in ("bot", WORKING, "third"):
            make_agent(customer.id, agent, agent.capitalize(), team=str(shared.id))
        customer.budget("100000", scope="team", thresholds=BLOCK)
        return customer

    def test_loses_only_the_agent_that_a_rule_pauses(self, server: Web, team: Customer) -> None:
        team.budget(LIMIT, scope="agent", thresholds=(Threshold("pause", 95), *BLOCK))
        burn = run_away(server, team, lambda _: reserve_body(HELD))
        assert burn.codes == {"paused": len(burn.refused)} and burn.refused
        assert sum(units(body["held"]) for body in burn.granted) >= units(LIMIT) * 95 // 100
        assert_nobody_else_noticed(burn)
        assert team.reserve(subject={"agent": "third"}).status_code == 201
        incident = assert_one_incident(
            team, trigger="budget_threshold", action="pause", scope="agent", target="bot"
        )
        assert incident["switch"] is not None
        assert_sound(team.id, within_limits=True)

    def test_loses_only_the_agent_that_a_person_pauses(self, server: Web, team: Customer) -> None:
        def pause() -> None:
            made(team, "/v1/agents/bot/pause", {"reason": "it burns money"})

        burn = run_away(server, team, lambda _: reserve_body(HELD), meanwhile=pause, is_killed=True)
        assert burn.codes == {"paused": len(burn.refused)} and burn.granted
        assert_nobody_else_noticed(burn)
        assert team.reserve(subject={"agent": "third"}).status_code == 201
        kill_and_restart(server)
        again = run_away(server, team, lambda _: reserve_body(HELD), calls=CLIENTS)
        assert again.codes == {"paused": CLIENTS}
        attributed = team.api.get("/v1/usage/attribution", group_by="agent").json()
        shares = {row["key"]: units(row["charge"]) for row in attributed["data"]}
        assert shares["bot"] == burn.charged
        assert sum(shares.values()) == units(attributed["total"]["charge"])
        assert_sound(team.id, within_limits=True)

    @pytest.fixture
    def swarm(self) -> Customer:
        """Twenty agents whose runs are below one root run, and below each of these another one."""
        bots = [f"bot-{number}" for number in range(20)]
        customer = make_customer("1000000", agents=(*bots, WORKING), scopes=SCOPES)
        tree = [("root", None), *((bot, "root") for bot in bots), *((f"{bot}/sub", bot) for bot in bots)]
        for run, parent in tree:
            agent = "bot-0" if run == "root" else run.partition("/")[0]
            begun = customer.reserved("0.01", subject={"agent": agent, "run": run, "parent_run": parent})
            customer.release(begun["id"])
        return customer

    @staticmethod
    def swarming(number: int) -> dict[str, Any]:
        """A call of one of the twenty, every third in a run of its own below the others."""
        bot = f"bot-{number % 20}"
        run, parent = [(bot, "root"), (f"{bot}/sub", bot), (f"{bot}/sub/{number}", f"{bot}/sub")][
            number // 20 % 3
        ]
        return reserve_body(HELD, subject={"agent": bot, "run": run, "parent_run": parent})

    def test_is_not_multiplied_by_agents_and_runs_below_a_run(self, server: Web, swarm: Customer) -> None:
        swarm.budget(LIMIT, scope="run", window="run", thresholds=BLOCK)
        burn = run_away(server, swarm, self.swarming, is_killed=True)
        fresh = {"agent": "bot-7", "run": "one more", "parent_run": "bot-3/sub"}
        stopped_by_money(
            server, swarm, burn, reserve_body(HELD, subject=fresh), place=("run", "root"), code="run_ceiling_reached"
        )  # fmt: skip
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            swarm, trigger="run_ceiling", action="block", scope="run", target="root"
        )
        assert units(LIMIT) - units(HELD) < units(incident["spent"]) <= units(LIMIT)
        assert_sound(swarm.id, within_limits=True)

    @pytest.mark.parametrize(
        ("rules", "seconds"), [({"max_steps": 60}, 0), ({"max_seconds": 3_600}, 3_601), ({"max_depth": 2}, 0)]
    )
    def test_has_one_incident_of_a_ceiling_however_many_runs_meet_it(
        self, server: Web, swarm: Customer, rules: dict[str, int], seconds: int
    ) -> None:
        made(swarm, "/v1/run-policies", {"scope": "organization", **rules})

        def deeper(number: int) -> dict[str, Any]:
            asked = self.swarming(number)
            subject: dict[str, Any] = asked["subject"]
            return {
                **asked,
                "subject": {**subject, "run": f"{subject['run']}/{number}", "parent_run": subject["run"]},
            }

        before = run_away(server, swarm, self.swarming, calls=60, clients=1)
        if seconds:
            swarm.pass_time(seconds=seconds)
        burn = run_away(server, swarm, deeper if "max_depth" in rules else self.swarming)
        assert set(burn.codes) == {"run_ceiling_reached"}
        assert {reply.json()["binding"]["target"] for reply in burn.refused} == {"root"}
        assert_nobody_else_noticed(burn)
        incident = assert_one_incident(
            swarm, trigger="run_ceiling", action="block", scope="run", target="root"
        )
        if "max_depth" not in rules:
            assert (len(before.granted), len(burn.granted)) == (60, 0)
            assert units(incident["spent"]) == before.charged, "what all runs of the tree have spent"
        assert_sound(swarm.id, within_limits=True)

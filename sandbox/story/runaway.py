"""The acts in which an agent runs away: it burns, repeats itself, multiplies, and at last a person is asked."""

import json
from typing import Any

from sandbox.story.amounts import money, units
from sandbox.story.burst import AT_ONCE, Burst, at_work_beside, play_burst
from sandbox.story.calls import Refused, Work
from sandbox.story.cast import CRM_SEARCH, LOOPING_CALL, REPORT, RESEARCH, SUPPORT
from sandbox.story.checks import expected_grants
from sandbox.story.play import Play
from sandbox.story.stage import AGENT_LIMIT, APPROVAL_PERCENT, RUN_CEILING

BURST_CALLS = 300
LOOP_CALLS = 100
SWARM_CALLS = 200
REPORT_EVERY = 50
CALLS_BESIDE = 12
MOST_REPEATS = 30
MOST_STEPS = 100
SUB_AGENTS = 20
LONGEST = 100
ERROR = '410 {"error": "record merged", "hint": "ask again with the new id"}'
INCIDENT = (
    "trigger", "action", "scope", "target", "agent", "rule", "evidence", "spent", "currency", "time_to_stop_ms",
    "switch",
)  # fmt: skip


def burn(play: Play) -> None:
    """300 calls in a burst, eight at a time, under the run's ceiling, while the other agents work beside."""
    say = play.transcript.say
    say(f"[bold]{RESEARCH.key}[/bold] asks its tool {CRM_SEARCH} and gets: [yellow]{ERROR}[/yellow]")
    say(
        f"It reads “ask again”, and does: {BURST_CALLS} calls, {AT_ONCE} at a time, every one with the old id.\n"
    )
    calls_before = len(play.account.done)
    others = {"support-bot-noon": SUPPORT, "report-bot-noon": REPORT}
    with at_work_beside(caller=play.caller, agents=others, calls=CALLS_BESIDE):
        burst = _burst(play, BURST_CALLS, run="research-bot-burn")
    play.transcript.stopped(
        f"The run is stopped: {len(burst.refused)} of {BURST_CALLS} calls never reached a model."
    )
    play.transcript.answer("the first refusal, as the agent got it", _shown(burst.refused[0]))
    _check_burn(play, burst)
    beside = [done for done in play.account.done[calls_before:] if done.work.agent is not RESEARCH]
    refused = [refused for refused in play.account.refused if refused.work.agent is not RESEARCH]
    play.checks.equal(
        "S33", "of the other two agents' calls meanwhile none was refused", expected=0, found=len(refused),
        shown=f"{len(beside)} calls",
    )  # fmt: skip
    incident = _incident(play, "research-bot-burn", trigger="run_ceiling", action="block")
    play.transcript.say(
        f"[bold]spent {money(burst.charged)}   held {money(0)}   limit {money(RUN_CEILING)}   remaining "
        f"{money(RUN_CEILING - burst.charged)}[/bold]   stopped after {_seconds(incident)}"
    )


def loop(play: Play) -> str:
    """The agent says what it asks; the thirtieth equal call ends its run. Returns the id of the policy."""
    play.transcript.say(
        "Money is the last line. The run policy of this agent ends a run that only repeats itself:\n"
    )
    rules = {
        "scope": "agent", "target": RESEARCH.key, "max_steps": MOST_STEPS,
        "loop": {"window": 50, "levels": [{"repeats": MOST_REPEATS, "action": "stop"}]},
    }  # fmt: skip
    play.transcript.say(f"[cyan]POST /v1/run-policies {json.dumps(rules)}[/cyan]\n".replace("[{", r"\[{"))
    policy: str = play.stage.api.make("/v1/run-policies", rules)["id"]
    burst = _burst(play, LOOP_CALLS, run="research-bot-loop", fingerprint=f"{CRM_SEARCH}#4711")
    play.transcript.stopped(_sentence(that_stopped(burst.refused)))
    _check_refusals(
        play, burst, allowed=MOST_REPEATS - 1, status=403, code="loop_detected", target="research-bot-loop"
    )
    incident = _incident(play, "research-bot-loop", trigger="loop", action="stop")
    shown = {name: incident[name] for name in INCIDENT}
    play.transcript.answer("GET /v1/incidents: why, on what evidence, spent so far", json.dumps(shown))
    evidence = incident["evidence"]
    play.checks.equal(
        "S59", "the incident names the rule and what it saw", expected=(policy, MOST_REPEATS, f"{CRM_SEARCH}#4711"),
        found=(incident["rule"], evidence["repeats"], evidence["fingerprint"]),
        shown=f"{_seconds(incident)} after the first of the equal calls",
    )  # fmt: skip
    play.checks.at_most(
        "S59", "what it had spent so far is what its calls held at most", limit=sum(done.held for done in burst.done),
        found=units(incident["spent"]), shown=incident["spent"],
    )  # fmt: skip
    again = play.caller.make(Work(RESEARCH, "research-bot-loop", call=RESEARCH.call(0)), step=LOOP_CALLS)
    stopped = isinstance(again, Refused) and again.answer.code == "loop_detected"
    play.checks.true("S60", "the run stays stopped, also for a call of another kind", holds=stopped)
    return policy


def swarm(play: Play, policy: str) -> None:
    """Twenty sub-agents below one root run: its ceiling of steps is not multiplied."""
    play.transcript.say(
        f"The next run splits into {SUB_AGENTS} child runs, which make {SWARM_CALLS} calls. What they do is the root "
        f"run's: {MOST_STEPS} steps.\n"
    )
    root = "research-bot-swarm"
    play.make(Work(RESEARCH, root, call=LOOPING_CALL), step=0)
    burst = _burst(play, SWARM_CALLS, run=root, children=SUB_AGENTS)
    play.transcript.stopped(_sentence(burst.refused[0]))
    _check_refusals(play, burst, allowed=MOST_STEPS - 1, status=402, code="run_ceiling_reached", target=root)
    incident = _incident(play, root, trigger="run_ceiling", action="block")
    play.checks.equal(
        "S46", f"one incident for all {SUB_AGENTS}: the policy, and how many steps", expected=(policy, MOST_STEPS),
        found=(incident["rule"], incident["evidence"]["used"]), shown=f"spent so far {incident['spent']}",
    )  # fmt: skip


def ask_a_person(play: Play) -> None:
    """At 90 % of the daily budget the agent waits for a person; approved, it goes on until the limit."""
    level = AGENT_LIMIT * APPROVAL_PERCENT // 100
    play.transcript.say(
        f"At {APPROVAL_PERCENT} % of its {money(AGENT_LIMIT)} a day the agent has to wait for a yes. It goes on, one "
        "call after the other.\n"
    )
    first = _until_refused(play, "research-bot-evening")
    _tell_wait(play, first)
    spent = _spent_by_agent(play)
    play.checks.at_most(
        "S36", f"the call that reached {money(level)} passed, and none after it", limit=level, found=spent,
        shown=f"spent {money(spent)}",
    )  # fmt: skip
    asked = play.stage.api.get("/v1/approvals?status=pending")["data"]
    play.checks.equal(
        "S35", "one approval waits, and says whose call crossed which level",
        expected=[(RESEARCH.key, "research-bot-evening", APPROVAL_PERCENT)],
        found=[(one["agent"], one["run"], one["percent"]) for one in asked],
    )  # fmt: skip
    decided = play.stage.api.act(f"/v1/approvals/{asked[0]['id']}/approve", "The report is due tonight")
    play.transcript.say(
        f"[cyan]POST /v1/approvals/…/approve[/cyan] “{decided['reason']}”: the next call passes.\n"
    )
    last = _until_refused(play, "research-bot-evening")
    play.transcript.stopped(_sentence(last))
    _show_agent(play)
    code = (last.answer.status, last.answer.code, last.binding["scope"])
    play.checks.equal(
        "S28", "now it is stopped until its day ends", expected=(402, "budget_exhausted", "agent"), found=code
    )


def _until_refused(play: Play, run: str) -> Refused:
    for step in range(LONGEST):
        result = play.caller.make(Work(RESEARCH, run, tool=CRM_SEARCH, call=LOOPING_CALL), step=step)
        if isinstance(result, Refused):
            return result
    play.checks.true("S1", "the agent is stopped in the end", holds=False)
    raise AssertionError


def _tell_wait(play: Play, refused: Refused) -> None:
    answer, binding = refused.answer, refused.binding
    play.transcript.stopped(f"{answer.status} {answer.code}: {binding['scope']} {binding['target']}")
    play.checks.equal(
        "S35", "the agent is told to wait for a person", expected=(403, "approval_required"),
        found=(answer.status, answer.code),
    )  # fmt: skip


def _burst(play: Play, calls: int, *, run: str, fingerprint: str | None = None, children: int = 0) -> Burst:
    def work(step: int) -> Work:
        name, parent = (f"{run}/{step % children}", run) if children else (run, None)
        return Work(
            RESEARCH, name, tool=CRM_SEARCH, call=LOOPING_CALL, parent=parent, fingerprint=fingerprint
        )

    def report(burst: Burst) -> None:
        play.transcript.say(
            f"{burst.ended:>4} of {calls} calls   allowed {len(burst.done):>3}   refused {len(burst.refused):>3}   "
            f"run spent {money(burst.charged)} of {money(RUN_CEILING)}"
        )

    return play_burst(caller=play.caller, work=work, calls=calls, report=report, every=REPORT_EVERY)


def _check_burn(play: Play, burst: Burst) -> None:
    """Everything that can be said of a burst that its run's ceiling in money stopped."""
    checks, first = play.checks, burst.done[0]
    run, limit = "research-bot-burn", RUN_CEILING
    checks.equal(
        "S6", "equal calls are charged equally", expected={(first.held, first.charged)},
        found={(done.held, done.charged) for done in burst.done},
        shown=f"held {money(first.held)}, charged {money(first.charged)}",
    )  # fmt: skip
    expected = expected_grants(limit=limit, spent=0, held_each=first.held, charged_each=first.charged)
    _check_refusals(play, burst, allowed=expected, status=402, code="run_ceiling_reached", target=run)
    peak, _ = play.account.peaks["run", run]
    checks.at_most(
        "S1", f"spent + held of the run were never above {money(limit)}", limit=limit, found=peak,
        shown=f"highest {money(peak)}",
    )  # fmt: skip
    _, _, _, spent, held = next(row for row in play.books.layers() if row[:2] == ("run", run))
    checks.equal(
        "S5", "the run has spent the sum of its calls, and holds nothing", expected=(burst.charged, 0),
        found=(spent, held),
    )  # fmt: skip


def _check_refusals(play: Play, burst: Burst, *, allowed: int, status: int, code: str, target: str) -> None:
    """Exactly so many calls were allowed, and every other one was refused for this reason."""
    play.checks.equal(
        "S33", "exactly as many calls were allowed as the rule lets through", expected=allowed, found=len(burst.done),
        shown=f"{allowed}",
    )  # fmt: skip
    play.checks.equal(
        "S38", f"every other call was refused with {status} {code}, binding: run",
        expected={(status, code, "run", target)},
        found={
            (item.answer.status, item.answer.code, item.binding["scope"], item.binding["target"])
            for item in burst.refused
        },
        shown=f"{len(burst.refused)}",
    )  # fmt: skip


def _incident(play: Play, run: str, *, trigger: str, action: str) -> dict[str, Any]:
    """The one incident of a run."""
    found = [one for one in play.stage.api.get("/v1/incidents?limit=100")["data"] if one["target"] == run]
    play.checks.equal(
        "S59", f"it left one incident: {trigger}, {action}", expected=[(trigger, action)],
        found=[(one["trigger"], one["action"]) for one in found],
    )  # fmt: skip
    incident: dict[str, Any] = found[0]
    return incident


def _show_agent(play: Play) -> None:
    agent = play.stage.agents[RESEARCH.key]
    _, _, limit, spent, held = next(row for row in play.books.layers() if row[:2] == ("agent", agent))
    play.checks.equal(
        "S5", "the agent has spent the sum of its calls, and holds nothing",
        expected=(_spent_by_agent(play), 0), found=(spent, held),
    )  # fmt: skip
    play.transcript.say(
        f"[bold]spent {money(spent)}   held {money(held)}   limit {money(limit)}   remaining "
        f"{money(limit - spent - held)}[/bold]"
    )


def _spent_by_agent(play: Play) -> int:
    return sum(done.charged for done in play.account.done if done.work.agent is RESEARCH)


def _shown(refused: Refused) -> str:
    body = refused.answer.body
    wanted = ("status", "code", "detail", "retryable", "binding", "also_failing")
    return json.dumps({name: body[name] for name in wanted if name in body})


def that_stopped(refused: list[Refused]) -> Refused:
    """The refusal that tells of the repeats. Of calls made at once, those stopped by it may be answered before it."""
    return next(one for one in refused if "repeats" in one.binding)


def _sentence(refused: Refused) -> str:
    answer, binding = refused.answer, refused.binding
    start = f"{answer.status} {answer.code}: {binding['scope']} {binding['target']}, "
    if "repeats" in binding:
        return start + f"asked the same {binding['repeats']} times"
    until = f", resets at {binding['resets_at']}" if binding.get("resets_at") else ""
    return f"{start}{binding['spent']} of {binding['limit']} {binding['unit']}{until}"


def _seconds(incident: dict[str, Any]) -> str:
    return f"{incident['time_to_stop_ms'] / 1000:.1f} s"

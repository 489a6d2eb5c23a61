"""The acts in which an agent runs away: it misreads a tool's error, and is stopped; restarted, and stopped again."""

import json

from sandbox.story.amounts import money
from sandbox.story.burst import AT_ONCE, Burst, at_work_beside, play_burst
from sandbox.story.calls import Done, Refused, Work
from sandbox.story.cast import CRM_SEARCH, LOOPING_CALL, REPORT, RESEARCH, SUPPORT
from sandbox.story.checks import expected_grants
from sandbox.story.play import Play
from sandbox.story.stage import AGENT_LIMIT, RUN_CEILING

BURST_CALLS = 300
RESTART_CALLS = (140, 100)
REPORT_EVERY = 50
CALLS_BESIDE = 12
ERROR = '410 {"error": "record merged", "hint": "ask again with the new id"}'


def loop(play: Play) -> None:
    """300 calls in a burst, eight at a time, under the run's ceiling, while the other agents work beside."""
    say = play.transcript.say
    say(f"[bold]{RESEARCH.key}[/bold] asks its tool {CRM_SEARCH} and gets: [yellow]{ERROR}[/yellow]")
    say(
        f"It reads “ask again”, and does: {BURST_CALLS} calls, {AT_ONCE} at a time, every one with the old id.\n"
    )
    calls_before = len(play.account.done)
    others = {"support-bot-noon": SUPPORT, "report-bot-noon": REPORT}
    with at_work_beside(caller=play.caller, agents=others, calls=CALLS_BESIDE):
        burst = _burst(play, "research-bot-loop", BURST_CALLS)
    play.transcript.stopped(
        f"The run is stopped: {len(burst.refused)} of {BURST_CALLS} calls never reached a model."
    )
    play.transcript.answer("the first refusal, as the agent got it", _shown(burst.refused[0]))
    _check_stop(
        play, burst, calls=BURST_CALLS, code="run_ceiling_reached", scope="run", limit=RUN_CEILING, spent=0
    )
    beside = [done for done in play.account.done[calls_before:] if done.work.agent is not RESEARCH]
    refused = [refused for refused in play.account.refused if refused.work.agent is not RESEARCH]
    play.checks.equal(
        "S33", "of the other two agents' calls meanwhile none was refused", expected=0, found=len(refused),
        shown=f"{len(beside)} calls",
    )  # fmt: skip


def restarts(play: Play) -> None:
    """Started anew under new runs, the agent meets its own daily budget."""
    play.transcript.say(
        "A watchdog finds the run dead and starts the agent anew, twice: new runs, new ceilings.\n"
    )
    ends = (("run_ceiling_reached", "run", RUN_CEILING), ("budget_exhausted", "agent", AGENT_LIMIT))
    for number, (calls, (code, scope, limit)) in enumerate(zip(RESTART_CALLS, ends, strict=True), 1):
        spent = 0 if scope == "run" else _spent_by_agent(play)
        burst = _burst(play, f"research-bot-restart-{number}", calls)
        play.transcript.stopped(_sentence(burst.refused[0]))
        _check_stop(play, burst, calls=calls, code=code, scope=scope, limit=limit, spent=spent)


def _burst(play: Play, run: str, calls: int) -> Burst:
    work = Work(RESEARCH, run, tool=CRM_SEARCH, call=LOOPING_CALL)

    def report(burst: Burst) -> None:
        play.transcript.say(
            f"{burst.ended:>4} of {calls} calls   allowed {len(burst.done):>3}   refused {len(burst.refused):>3}   "
            f"run spent {money(burst.charged)} of {money(RUN_CEILING)}"
        )

    return play_burst(caller=play.caller, work=work, calls=calls, report=report, every=REPORT_EVERY)


def _check_stop(
    play: Play, burst: Burst, *, calls: int, code: str, scope: str, limit: int, spent: int
) -> None:
    """Everything that can be said of a burst that was stopped; `limit` and `spent` are the binding layer's."""
    checks, first = play.checks, burst.done[0]
    checks.equal(
        "S6", "equal calls are charged equally", expected={(first.held, first.charged)},
        found={(done.held, done.charged) for done in burst.done},
        shown=f"held {money(first.held)}, charged {money(first.charged)}",
    )  # fmt: skip
    expected = expected_grants(limit=limit, spent=spent, held_each=first.held, charged_each=first.charged)
    checks.equal(
        "S1", f"exactly as many calls were allowed as the {scope}'s {money(limit)} hold", expected=expected,
        found=len(burst.done), shown=f"{expected}",
    )  # fmt: skip
    checks.equal(
        "S38", f"every other call was refused with 402 {code}, binding: {scope}",
        expected=[(402, code, scope)] * (calls - expected),
        found=[(item.answer.status, item.answer.code, item.binding["scope"]) for item in burst.refused],
        shown=f"{len(burst.refused)}",
    )  # fmt: skip
    peak, _ = play.account.peaks[scope, _target(burst.done[0], scope)]
    checks.at_most(
        "S1", f"spent + held of the {scope} were never above {money(limit)}", limit=limit, found=peak,
        shown=f"highest {money(peak)}",
    )  # fmt: skip
    _show_end(play, scope, _target(first, scope), spent=spent + burst.charged)


def _show_end(play: Play, scope: str, target: str | None, *, spent: int) -> None:
    """The binding layer's own figures when everything has ended, against what its calls were charged."""
    named = {scope: target, "agent": play.stage.agents[RESEARCH.key]}[scope]
    _, _, limit, found, held = next(row for row in play.books.layers() if row[:2] == (scope, named))
    play.checks.equal(
        "S5",
        f"the {scope} has spent the sum of its calls, and holds nothing",
        expected=(spent, 0),
        found=(found, held),
    )
    play.transcript.say(
        f"[bold]spent {money(found)}   held {money(held)}   limit {money(limit)}   remaining "
        f"{money(limit - found - held)}[/bold]\n"
    )


def _target(done: Done, scope: str) -> str | None:
    found: list[str | None] = [
        item["target"] for item in done.reserve.body["budgets"] if item["scope"] == scope
    ]
    return found[0]


def _spent_by_agent(play: Play) -> int:
    return sum(done.charged for done in play.account.done if done.work.agent is RESEARCH)


def _shown(refused: Refused) -> str:
    body = refused.answer.body
    wanted = ("status", "code", "detail", "retryable", "binding", "also_failing")
    return json.dumps({name: body[name] for name in wanted if name in body})


def _sentence(refused: Refused) -> str:
    binding = refused.binding
    return (
        f"{refused.answer.status} {refused.answer.code}: {binding['scope']} {binding['target']}, "
        f"spent {binding['spent']} of {binding['limit']}, resets at {binding.get('resets_at') or 'never'}"
    )

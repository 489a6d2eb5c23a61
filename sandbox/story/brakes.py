"""The act of the other brakes: a rule that only observes, a rate limit, and a kill switch in a person's hand."""

from sandbox.story.amounts import money, units
from sandbox.story.calls import Done, Refused, Work
from sandbox.story.cast import REPORT, SUPPORT
from sandbox.story.play import Play
from sandbox.story.working import afternoon

OBSERVED_LIMIT = "0.06"
HOURLY, AT_ONCE, ASKED = 10, 5, 8
LEAKED = "The provider's key has leaked"


def observed(play: Play) -> None:
    """The others go on, one under a budget that is tried out, whose report says what it would do."""
    budget = {
        "scope": "agent",
        "target": REPORT.key,
        "window": "day",
        "limit": OBSERVED_LIMIT,
        "currency": "USD",
    }
    rule = play.stage.api.make("/v1/budgets", {**budget, "mode": "observe"})["id"]
    made = afternoon(play)
    play.transcript.say(
        f"{len(made)} more calls of {', '.join(sorted({done.work.agent.key for done in made}))}: all allowed. A new "
        f"budget of {OBSERVED_LIMIT} a day for {REPORT.key}, in mode observe, only watched:"
    )
    report = play.stage.api.get(f"/v1/reports/observed?rule={rule}")["data"][0]
    play.transcript.say(f"[cyan]GET /v1/reports/observed[/cyan]: it {report['summary']}\n")
    blocked = _would_block([done for done in made if done.work.agent is REPORT])
    play.checks.equal(
        "S45", "these are the calls that it would have refused, worked out by the client",
        expected=(len(blocked), sum(done.held for done in blocked), sum(done.charged for done in blocked)),
        found=(report["calls"], units(report["requested"]), units(report["charged"])),
        shown=f"enforcing it would have saved {money(sum(done.charged for done in blocked))}",
    )  # fmt: skip


def _would_block(made: list[Done]) -> list[Done]:
    """What the limit would have refused of these calls in their order: a call that is refused counts nothing."""
    spent, blocked = 0, []
    for done in made:
        if spent + done.held > units(OBSERVED_LIMIT):
            blocked.append(done)
        else:
            spent += done.charged
    return blocked


def rate_limit(play: Play) -> None:
    """So many calls at once, and then 429 with how long to wait; whatever they cost."""
    limit = {
        "scope": "agent", "target": SUPPORT.key, "unit": "requests", "limit": HOURLY, "window": "hour",
        "burst": AT_ONCE, "behaviour": "reject",
    }  # fmt: skip
    rule = play.stage.api.make("/v1/rate-limits", limit)["id"]
    work = [Work(SUPPORT, "support-bot-rush", call=SUPPORT.call(step)) for step in range(ASKED)]
    results = [play.caller.make(one, step=step) for step, one in enumerate(work)]
    refused = [result for result in results if isinstance(result, Refused)]
    waits = [refusal.answer.body.get("retry_after", 0) for refusal in refused]
    play.transcript.say("")
    play.transcript.stopped(
        f"429 rate_limited: {HOURLY} requests an hour, {AT_ONCE} at once; Retry-After {max(waits, default=0)} s"
    )
    play.checks.equal(
        "S48", f"of {ASKED} calls in a row {AT_ONCE} pass; the others are told how long to wait",
        expected=[(429, "rate_limited")] * (ASKED - AT_ONCE),
        found=[(item.answer.status, item.answer.code) for item in refused],
    )  # fmt: skip
    apart = 3600 // HOURLY
    play.checks.true(
        "S51",
        f"and that is no longer than the {apart} s between two calls",
        holds=all(0 < w <= apart for w in waits),
    )
    play.stage.api.post(f"/v1/rate-limits/{rule}/archive", {}).expect(200)


def kill_switch(play: Play) -> None:
    """One call stops everybody who uses a connection, one lets them go on."""
    switch = {"scope": "connection", "target": SUPPORT.connection, "reason": LEAKED}
    killed = play.stage.api.make("/v1/kill-switches", switch)["id"]
    result = play.caller.make(Work(SUPPORT, "support-bot-evening", call=SUPPORT.call(0)), step=0)
    answer = result.answer if isinstance(result, Refused) else result.reserve
    play.transcript.say("")
    play.transcript.stopped(f"{answer.status} {answer.code}: connection {SUPPORT.connection}, “{LEAKED}”")
    play.checks.equal(
        "S60", "the next call over it is refused, and says why", expected=(403, "blocked", LEAKED),
        found=(answer.status, answer.code, answer.body.get("binding", {}).get("reason")),
    )  # fmt: skip
    play.make(Work(REPORT, "report-bot-evening", call=REPORT.call(0)), step=0)
    play.checks.true("S60", f"{REPORT.key}, which uses another one, goes on", holds=True)
    play.stage.api.act(f"/v1/kill-switches/{killed}/release", "The key was replaced")
    play.make(Work(SUPPORT, "support-bot-evening", call=SUPPORT.call(1)), step=1)
    play.checks.true("S42", "released, the next call passes", holds=True)

"""The script: what happens, act by act. The figures are the API's; every claim about them is checked."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.story import accounting, proving, runaway, working
from sandbox.story.amounts import money
from sandbox.story.api import Keys
from sandbox.story.calls import Account, Caller, Refused, Work
from sandbox.story.cast import AGENTS, RESEARCH
from sandbox.story.checks import Checks
from sandbox.story.play import Play
from sandbox.story.proof import Books
from sandbox.story.stage import AGENT_LIMIT, ORGANIZATION_LIMIT, RUN_CEILING, Stage, build, seconds_to_wait
from sandbox.story.transcript import Transcript


def play_story(
    *, urls: Mapping[str, str], demo: Mapping[str, Any], home: Path, transcript: Transcript
) -> None:
    """Play all acts. Raises InvariantBroken and StoryFailed."""
    started_at = time.monotonic()
    _wait_for_a_whole_day(transcript)
    keys = Keys()
    stage = build(url=urls["http"], platform_key=demo["platform_key"], keys=keys)
    play = Play(
        stage=stage,
        caller=Caller(api=stage.api, account=Account()),
        checks=Checks(say=transcript.holds),
        books=Books(url=urls["database_readonly"], organization=stage.organization),
        transcript=transcript,
    )
    try:
        _open(transcript, stage)
        _acts(play, home)
    finally:
        stage.api.close()
    seconds = time.monotonic() - started_at
    transcript.say(
        f"\n[bold green]All {play.checks.count} checks hold[/bold green] [dim]({seconds:.1f} s)[/dim]"
    )


def _acts(play: Play, home: Path) -> None:
    act = play.transcript.act
    act("An ordinary morning")
    working.morning(play)
    act("One agent misreads an error and loops")
    runaway.loop(play)
    act("Started anew, it meets its daily budget")
    runaway.restarts(play)
    act("The others go on")
    _go_on(play)
    act("Who spent what")
    accounting.balance(play)
    accounting.budgets(play)
    accounting.attribution(play)
    act("The proof")
    proving.replays(play)
    proving.books(play)
    proving.commands(play, home=home)


def _open(transcript: Transcript, stage: Stage) -> None:
    models = ", ".join(f"{agent.key} ({agent.model})" for agent in AGENTS)
    transcript.title(
        "Three agents and one of them runs away",
        (
            f"[bold]{stage.name}[/bold] has prepaid [bold]{money(stage.credit)} USD[/bold]: 5 promotional, 60 paid.",
            f"Its agents: {models}.",
            f"Limits: {money(RUN_CEILING)} a run, {money(AGENT_LIMIT)} an agent and day, "
            f"{money(ORGANIZATION_LIMIT)} the organization and month.",
            "Everything goes through the public HTTP API; amounts are exact to the last unit of 0.00000001 USD.",
        ),
    )


def _go_on(play: Play) -> None:
    made = working.afternoon(play)
    play.transcript.say(
        f"{len(made)} more calls of {', '.join(sorted({done.work.agent.key for done in made}))}: all allowed."
    )
    last = play.caller.make(Work(RESEARCH, "research-bot-evening", call=RESEARCH.call(0)), step=0)
    refused = isinstance(last, Refused) and last.answer.code == "budget_exhausted"
    play.checks.true("S28", "research-bot stays stopped until its day ends", holds=refused)


def _wait_for_a_whole_day(transcript: Transcript) -> None:
    seconds = seconds_to_wait(datetime.now(UTC))
    if seconds:
        transcript.say(f"The day ends in {seconds} s; the story of one day begins after that.")
        time.sleep(seconds)

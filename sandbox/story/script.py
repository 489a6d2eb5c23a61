"""The script: what happens, act by act. The figures are the API's; every claim about them is checked."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.story import accounting, bill, billing, brakes, paying, proving, runaway, working
from sandbox.story.amounts import money
from sandbox.story.api import Keys
from sandbox.story.calls import Account, Caller
from sandbox.story.cast import AGENTS
from sandbox.story.checks import Checks
from sandbox.story.customer import Customer, open_customer
from sandbox.story.payer import Payer, open_payer
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
    customer = open_customer(url=urls["http"], platform_key=demo["platform_key"], keys=keys)
    payer = _payer(urls, demo, keys)
    play = Play(
        stage=stage,
        caller=Caller(api=stage.api, account=Account()),
        checks=Checks(say=transcript.holds),
        books=Books(
            url=urls["database_readonly"], organization=stage.organization, budgets=stage.budgets.values()
        ),
        transcript=transcript,
    )
    try:
        _open(transcript, stage)
        _acts(play)
        if payer is not None:
            paying.subscribe(payer)  # the billing run makes its invoice during the next acts
        _billing_acts(play, customer)
        if payer is not None:
            _paying_act(play, payer)
        _proof(play, home)
    finally:
        stage.api.close()
        customer.close()
        if payer is not None:
            payer.close()
    seconds = time.monotonic() - started_at
    transcript.say(
        f"\n[bold green]All {play.checks.count} checks hold[/bold green] [dim]({seconds:.1f} s)[/dim]"
    )


def _payer(urls: Mapping[str, str], demo: Mapping[str, Any], keys: Keys) -> Payer | None:
    """Nobody pays where a real Stripe is named: the story has no control over banks."""
    if "stripe" not in urls:
        return None
    return open_payer(url=urls["http"], stripe=urls["stripe"], platform_key=demo["platform_key"], keys=keys)


def _acts(play: Play) -> None:
    act = play.transcript.act
    act("An ordinary morning")
    working.morning(play)
    act("One agent misreads an error and burns: stopped by its run's ceiling")
    runaway.burn(play)
    act("Started anew, it repeats itself: stopped by loop detection")
    policy = runaway.loop(play)
    act("It calls twenty sub-agents for help: one ceiling for all of them")
    runaway.swarm(play, policy)
    act("A person decides")
    runaway.ask_a_person(play)
    act("The others go on, and other brakes")
    brakes.observed(play)
    brakes.rate_limit(play)
    brakes.kill_switch(play)
    act("Who spent what")
    accounting.balance(play)
    accounting.budgets(play)
    accounting.attribution(play)


def _billing_acts(play: Play, customer: Customer) -> None:
    act = play.transcript.act
    act("A customer's month: allowance, then credit, then the line")
    subscription = billing.subscribe(play, customer)
    billing.burn(play, customer)
    billing.meter(play, customer)
    billing.upgrade(play, customer, subscription)
    act("The month's invoice, line by line")
    final = bill.invoice(play, customer)
    bill.explain(play, customer, final)
    bill.settle(play, customer, final)


def _paying_act(play: Play, payer: Payer) -> None:
    play.transcript.act("A customer pays by card, falls behind, and is back at once")
    paying.top_up(play, payer)
    paying.collected(play, payer)
    invoice = paying.falls_behind(play, payer)
    paying.recovers(play, payer, invoice)


def _proof(play: Play, home: Path) -> None:
    play.transcript.act("The proof")
    proving.replays(play)
    proving.books(play)
    proving.commands(play, home=home)


def _open(transcript: Transcript, stage: Stage) -> None:
    models = ", ".join(f"{agent.key} ({agent.model})" for agent in AGENTS)
    transcript.title(
        "Three agents and one of them runs away, again and again",
        (
            f"[bold]{stage.name}[/bold] has prepaid [bold]{money(stage.credit)} USD[/bold]: 5 promotional, 60 paid.",
            f"Its agents: {models}.",
            f"Limits: {money(RUN_CEILING)} a run, {money(AGENT_LIMIT)} an agent and day, "
            f"{money(ORGANIZATION_LIMIT)} the organization and month.",
            "Everything goes through the public HTTP API; amounts are exact to the last unit of 0.00000001 USD.",
        ),
    )


def _wait_for_a_whole_day(transcript: Transcript) -> None:
    seconds = seconds_to_wait(datetime.now(UTC))
    if seconds:
        transcript.say(f"The day ends in {seconds} s; the story of one day begins after that.")
        time.sleep(seconds)

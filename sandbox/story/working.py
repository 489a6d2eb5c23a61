"""Acts in which agents do their ordinary work."""

from sandbox.story.amounts import money
from sandbox.story.calls import Done, Work
from sandbox.story.cast import AGENTS, REPORT, RESEARCH, SUPPORT, WEB_SEARCH, WEB_SEARCH_PRICE, Agent
from sandbox.story.play import Play

MORNING_CALLS = 3
LATER_CALLS = 4
SEARCHES = 2


def morning(play: Play) -> None:
    """Every agent makes a few calls; each is reserved before and committed after."""
    play.transcript.say(
        "Before each call an agent reserves its estimate; after it, the provider's own usage object is committed.\n"
    )
    rows = []
    for agent in AGENTS:
        rows += [_row(done) for done in _calls(play, agent, f"{agent.key}-morning", MORNING_CALLS)]
    for step in range(SEARCHES):
        search = Work(RESEARCH, f"{RESEARCH.key}-morning", tool=WEB_SEARCH, amount=WEB_SEARCH_PRICE)
        rows.append(_row(play.make(search, step=MORNING_CALLS + step)))
    columns = ("agent", "called", "held before", "charged after", "returned", "overage")
    play.transcript.table(columns, rows, numbers=2)


def afternoon(play: Play) -> list[Done]:
    """The agents that did nothing wrong go on; returns their calls."""
    made = []
    for agent in (SUPPORT, REPORT):
        made += _calls(play, agent, f"{agent.key}-afternoon", LATER_CALLS)
    return made


def _calls(play: Play, agent: Agent, run: str, calls: int) -> list[Done]:
    return [play.make(Work(agent, run, call=agent.call(step)), step=step) for step in range(calls)]


def _row(done: Done) -> tuple[str, ...]:
    work = done.work
    play_of = work.agent.model if work.call else f"tool {work.tool}"
    returned = max(0, done.held - done.charged)
    overage = f"[yellow]{money(done.overage)}[/yellow]" if done.overage else money(0)
    return work.agent.key, play_of, money(done.held), money(done.charged), money(returned), overage

"""The act in which everything is added up: balance, budgets, and who spent what."""

from collections.abc import Callable
from typing import Any

from sandbox.story.amounts import UNITS_PER_MAJOR, money, units
from sandbox.story.calls import Done
from sandbox.story.play import Play

GROUPS: tuple[tuple[str, Callable[[Done], str | None]], ...] = (
    ("agent", lambda done: done.work.agent.key),
    ("model", lambda done: done.work.agent.model if done.work.call else None),
    ("tool", lambda done: done.work.tool),
)


def balance(play: Play) -> None:
    """What is left of the credit: what was granted less what was committed, to the last unit."""
    found = play.stage.api.get("/v1/balance")
    posted, held, available = (units(found[name]) for name in ("posted", "held", "available"))
    charged, credit = play.account.charged, play.stage.credit
    play.transcript.table(
        ("prepaid credit", "charged", "posted", "held", "available", "debt"),
        [
            (
                money(credit),
                money(charged),
                money(posted),
                money(held),
                money(available),
                money(units(found["debt"])),
            )
        ],
        numbers=0,
    )
    play.transcript.say("")
    play.checks.equal("L3", "credit less every committed charge is the posted balance", expected=credit - charged,
                      found=posted, shown=money(posted))  # fmt: skip
    play.checks.equal(
        "L4", "nothing is held when every call has ended", expected=(0, posted), found=(held, available)
    )
    remaining = sum(units(grant["remaining"]) for grant in found["grants"])
    play.checks.equal("L7", "the grants' remaining is the posted credit", expected=posted, found=remaining)


def budgets(play: Play) -> None:
    """Every window of every enforced budget: the client's own sums, the database's, and the limits."""
    agents = {identifier: key for key, identifier in play.stage.agents.items()}
    rows, expected = play.books.layers(), _expected_layers(play)
    found = {(scope, agents.get(target, target)): spent for scope, target, _, spent, _ in rows}
    shown = [
        (
            scope,
            agents.get(target, target) or "(all)",
            *map(money, (limit, spent, held, limit - spent - held)),
        )
        for scope, target, limit, spent, held in rows
    ]
    play.transcript.say("")
    play.transcript.table(("budget", "of", "limit", "spent", "held", "remaining"), shown, numbers=2)
    play.transcript.say("")
    play.checks.equal(
        "S5", "every budget layer has spent exactly what was committed under it", expected=expected, found=found,
        shown=f"{len(found)} windows",
    )  # fmt: skip
    over = [row for row in rows if row[3] + row[4] > row[2]]
    play.checks.equal("S1", "no layer is above its limit", expected=[], found=over)


def attribution(play: Play) -> None:
    """Who spent what, by agent, model and tool; each adds up to the same total."""
    for name, of in GROUPS:
        found = play.stage.api.get(f"/v1/usage/attribution?group_by={name}")
        rows = [*found["data"], found["unattributed"]]
        shown = [_row(row, row["key"] or "(none)") for row in rows if row["calls"]]
        play.transcript.say("")
        play.transcript.table(
            (f"by {name}", "calls", "charged", "share"), [*shown, _row(found["total"] | {"share": "1"}, "total")],
            numbers=1, total=True,
        )  # fmt: skip
        play.checks.equal(
            "S7", f"usage by {name} is what the agents committed, row by row", expected=play.account.sums(of),
            found={row["key"]: units(row["charge"]) for row in rows if row["calls"]},
        )  # fmt: skip
        play.checks.equal(
            "S7", f"and by {name} it sums to the organization's total", expected=play.account.charged,
            found=units(found["total"]["charge"]), shown=money(play.account.charged),
        )  # fmt: skip


def _row(figures: dict[str, Any], label: str) -> tuple[str, ...]:
    hundredths = units(figures["share"]) * 10_000 // UNITS_PER_MAJOR  # of a percent
    percent = f"{hundredths // 100}.{hundredths % 100:02d} %"
    return label, str(figures["calls"]), money(units(figures["charge"])), percent


def _expected_layers(play: Play) -> dict[tuple[str, str], int]:
    account = play.account
    expected = {("organization", ""): account.charged}
    expected |= {
        ("agent", str(key)): amount for key, amount in account.sums(lambda d: d.work.agent.key).items()
    }
    expected |= {("run", str(run)): amount for run, amount in account.sums(lambda d: d.work.root).items()}
    return expected

"""Random thresholds, rate limits and policies of runs, and the persons who let an organization go on."""

import random
from contextlib import suppress
from typing import Any

from common.errors import InvalidTransition
from spend.operations.ratelimits.change import archive_rate_limit, change_rate_limit
from spend.operations.runpolicies.change import change_run_policy
from spend.rules.budgets import Caps, Threshold
from spend.rules.limits import RateLimit
from spend.rules.runpolicies import RunPolicy
from tests.builders.controls import approvals_waiting, approve, lift, make_limit, make_policy, switches_set
from tests.builders.gate import Customer
from tests.builders.orgs import AUTHOR, write
from tests.invariants import reading

ACTIONS = ("notify", "notify", "throttle", "cap", "require_approval", "pause", "block")


def some_thresholds(
    chance: random.Random, *, model: str, tool: str, limits: list[RateLimit]
) -> tuple[Threshold, ...]:
    """One to eight thresholds of every action, up to one that blocks at 100 %."""
    levels = sorted(chance.sample(range(5, 100), chance.randrange(0, 8)))
    found = [_threshold(chance, level, model, tool, limits) for level in levels]
    return (
        (*found, Threshold("block", 100))
        if chance.random() < 0.8
        else tuple(found) or (Threshold("block", 90),)
    )


def _threshold(
    chance: random.Random, level: int, model: str, tool: str, limits: list[RateLimit]
) -> Threshold:
    action = chance.choice(ACTIONS)
    if action == "block" and level < 60:
        action = "notify"
    if action == "throttle":
        if limits and chance.random() < 0.5:
            share = chance.choice((20, 50, 90))
            return Threshold(action, level, rate_percent=share, rate_limit=str(chance.choice(limits).id))
        return Threshold(action, level, per_minute=chance.choice((60, 600, 3_000)))
    if action == "cap":
        caps = (
            None, Caps(max_output_tokens=500), Caps(models=(model,)), Caps(tools=(tool,)), Caps(cooldown_ms=20),
            Caps(steps=chance.choice((5, 50))),
        )  # fmt: skip
        return Threshold(action, level, caps=chance.choice(caps))
    return Threshold(action, level)


def some_limits(customer: Customer, chance: random.Random, *, many: int, loose: int = 1) -> list[RateLimit]:
    """Rate limits of every unit and shape, several on one target; `loose` times as wide."""
    found = []
    for shape in chance.sample(_shapes(chance, loose), many):
        behaviour = chance.choice(("reject", "throttle"))
        if chance.random() < 0.2:
            shape["escalate"] = {"denials": chance.choice((3, 10)), "seconds": chance.choice((1, 60))}
        found.append(make_limit(customer, behaviour=behaviour, **shape))
    return found


def _shapes(chance: random.Random, loose: int) -> list[dict[str, Any]]:
    some = chance.choice
    # A fixed window that is full stays so for a minute or a day: those stand in the way of a part of the calls only.
    return [
        {"scope": "user", "target": "u1", "unit": "requests", "window": "minute", "limit": some((4, 12))},
        {"scope": "workflow", "target": "daily", "unit": "tokens", "window": "minute",
         "limit": some((60_000, 200_000))},
        {"scope": "agent", "target": "writer", "unit": "tokens", "direction": "output", "window": "hour",
         "limit": some((20_000, 60_000))},
        {"scope": "organization", "unit": "tool_calls", "window": "day", "limit": some((10, 40))},
        {"scope": "organization", "unit": "requests", "window": "second", "limit": loose * some((20, 60))},
        {"scope": "user", "unit": "requests", "window": "minute", "limit": loose * 120, "burst": some((1, 5, 20))},
        {"scope": "workflow", "unit": "tokens", "direction": "input", "window": "second", "limit": loose * 400_000,
         "burst": 900_000},
        {"scope": "agent", "unit": "tool_calls", "window": "minute", "limit": loose * 60, "burst": some((3, 9))},
        {"scope": "organization", "unit": "concurrent", "limit": some((6, 20))},
        {"scope": "agent", "unit": "concurrent", "limit": some((2, 5)), "per": some((None, "user"))},
        {"scope": "key", "unit": "requests", "window": "second", "limit": loose * 15, "burst": some((1, 30))},
        {"scope": "organization", "unit": "requests", "window": "minute", "limit": loose * 60,
         "per": some(("user", "key"))},
    ]  # fmt: skip


def some_policies(customer: Customer, chance: random.Random, *, many: int) -> list[RunPolicy]:
    """Ceilings of runs, attempts and loops, for all runs or for those of an agent."""
    some = chance.choice
    loop = {
        "window": some((5, 20, 50)),
        "levels": [
            {"repeats": 2, "action": "warn"}, {"repeats": 3, "action": "cap", "cooldown_ms": some((1, 200))},
            {"repeats": 4, "action": some(("pause", "stop"))},
        ],
    }  # fmt: skip
    shapes: list[dict[str, Any]] = [
        {"max_steps": some((5, 20))}, {"max_tool_calls": some((3, 12))}, {"max_seconds": 2}, {"max_depth": 1},
        {"attempts": {"max": 3, "first_ms": 50, "longest_ms": 400}}, {"loop": loop},
        {"max_steps": 10, "attempts": {"max": 4, "first_ms": 0, "longest_ms": 0}, "loop": loop},
    ]  # fmt: skip
    targets: list[dict[str, Any]] = [
        {},
        {"scope": "agent"},
        {"scope": "agent", "target": "bot"},
        {"scope": "team"},
    ]
    return [make_policy(customer, **some(targets), **shape) for shape in chance.sample(shapes, many)]


def change_rules(
    customer: Customer, limits: list[RateLimit], policies: list[RunPolicy], chance: random.Random
) -> None:
    """One limit or policy up or down; now and then one goes."""
    if limits and chance.random() < 0.6:
        place = chance.randrange(len(limits))
        if chance.random() < 0.1:
            gone = limits.pop(place)
            write(lambda cur: archive_rate_limit(cur, customer.id, gone.id, author=AUTHOR))
            return
        limit = max(1, int(limits[place].amount_limit * chance.uniform(0.5, 2)))
        change = {"limit": limit}
        write(lambda cur: change_rate_limit(cur, customer.id, limits[place].id, change, author=AUTHOR))
    elif policies:
        policy = chance.choice(policies)
        steps = {"max_steps": chance.choice((3, 10, 40))}
        write(lambda cur: change_run_policy(cur, customer.id, policy.id, steps, author=AUTHOR))


def let_go_on(customer: Customer) -> None:
    """Persons decide on all that waits, and lift all that is set."""
    with reading() as connection:
        waiting, stopped = approvals_waiting(customer, connection), switches_set(customer, connection)
    for approval in waiting:
        with suppress(InvalidTransition):  # its window is over, or the budget was changed
            approve(customer, approval)
    for switch in stopped:
        lift(customer, switch)

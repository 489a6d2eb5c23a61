"""Rules for runs as the gate reads them (S55, S56): ceilings, attempts with a doubling pause, repeated fingerprints.

Money and tokens of a run are limited by budgets of scope run; here stands the rest.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from common.ids import AnyId

LOOP_ACTIONS: Final = ("warn", "cap", "pause", "stop")


@dataclass(frozen=True, slots=True)
class Attempts:
    """At most `most` attempts of a (run, step); before the n-th a pause of first * 2^(n-2), at most `longest`."""

    most: int = 5
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=60)

    def pause_before(self, attempt: int) -> timedelta:
        """Return how long after the attempt before it this one may come; none before the first."""
        if attempt < 2:
            return timedelta()
        times: int = 2 ** min(attempt - 2, 40)
        return min(self.longest, self.first * times)


@dataclass(frozen=True, slots=True)
class LoopLevel:
    """What is done when a fingerprint stands `repeats` times among the last calls of a run."""

    repeats: int
    action: str
    cooldown: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Loop:
    """Repeated fingerprints: of the last `window` calls of a run that named one, ascending levels."""

    window: int = 50
    levels: tuple[LoopLevel, ...] = (
        LoopLevel(10, "warn"),
        LoopLevel(20, "cap", timedelta(seconds=30)),
    )


@dataclass(frozen=True, slots=True)
class RunRules:
    """What a policy says; None: it says nothing of that."""

    max_steps: int | None = None
    max_tool_calls: int | None = None
    max_seconds: int | None = None
    max_depth: int | None = None
    attempts: Attempts | None = None
    loop: Loop | None = None


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """A run policy's row: for all runs of a target (scope organization, team, agent or workflow), or for one run."""

    id: AnyId
    organization: AnyId
    scope: str
    target_id: AnyId | None
    target_label: str | None
    rules: RunRules
    mode: str
    version: int
    created_at: datetime
    archived_at: datetime | None = None


def stored(rules: RunRules) -> dict[str, Any]:
    """Return rules as events and rows hold them."""
    data: dict[str, Any] = {
        name: getattr(rules, name)
        for name in ("max_steps", "max_tool_calls", "max_seconds", "max_depth")
        if getattr(rules, name) is not None
    }
    if rules.attempts is not None:
        tries = rules.attempts
        data["attempts"] = {"max": tries.most, "first_ms": _ms(tries.first), "longest_ms": _ms(tries.longest)}
    if rules.loop is not None:
        data["loop"] = {
            "window": rules.loop.window,
            "levels": [
                {"repeats": level.repeats, "action": level.action, "cooldown_ms": _ms(level.cooldown)}
                for level in rules.loop.levels
            ],
        }
    return data


def from_stored(data: dict[str, Any]) -> RunRules:
    """Return the rules that a row holds."""
    tries, loop = data.get("attempts"), data.get("loop")
    return RunRules(
        max_steps=data.get("max_steps"),
        max_tool_calls=data.get("max_tool_calls"),
        max_seconds=data.get("max_seconds"),
        max_depth=data.get("max_depth"),
        attempts=tries and Attempts(tries["max"], _span(tries["first_ms"]), _span(tries["longest_ms"])),
        loop=loop
        and Loop(
            loop["window"],
            tuple(LoopLevel(x["repeats"], x["action"], _span(x["cooldown_ms"])) for x in loop["levels"]),
        ),
    )


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _span(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)

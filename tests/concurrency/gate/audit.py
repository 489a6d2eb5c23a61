"""What the record says of rules and thresholds, checked rule by rule by plain reference implementations.

Nothing of the product is used, and nothing of the model that replays decisions either: the admissions of each rate
limit are worked out anew from `reservation.reserved` and the definitions in the record, as a textbook has them.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

EVENTS = """
SELECT type, stream_id::text, data::text, occurred_at, actor FROM events WHERE organization = %s ORDER BY seq
"""
SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
ENDS = ("reservation.committed", "reservation.released", "reservation.expired")
NS = 10**9


@dataclass(frozen=True)
class Fact:
    """An event."""

    type: str
    stream: str
    data: dict[str, Any]
    at: datetime
    actor: str


def facts_of(organization: UUID) -> list[Fact]:
    """The organization's record, in order."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        rows = connection.execute(EVENTS, (organization,)).fetchall()
    return [Fact(kind, stream, json.loads(data), at, actor or "") for kind, stream, data, at, actor in rows]


@dataclass
class Admissions:
    """What one target of a rate limit was let do."""

    arrival: int = 0
    windows: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    open: int = 0


class Rates:
    """The rate limits of an organization, each admission judged by the limit that then was in force."""

    def __init__(self) -> None:
        self.limits: dict[str, dict[str, Any]] = {}
        self.known: dict[tuple[str, str, int], Admissions] = defaultdict(Admissions)
        self.taken: dict[str, list[tuple[Admissions, dict[str, Any], datetime, int]]] = {}
        self.admitted = 0
        self.violations: list[str] = []

    def see(self, fact: Fact) -> None:
        """Take a fact in."""
        if fact.type in ("rate_limit.created", "rate_limit.changed"):
            self.limits[fact.stream] = fact.data
        elif fact.type == "rate_limit.archived":
            del self.limits[fact.stream]
        elif fact.type == "reservation.reserved":
            self.taken[fact.stream] = list(self._admit(fact))
        elif fact.type in ENDS:
            self._end(fact)

    def _admit(self, fact: Fact) -> Iterator[tuple[Admissions, dict[str, Any], datetime, int]]:
        for name, limit in self.limits.items():
            target, asked = _target(limit, fact), _asked(limit, fact.data)
            if target is None or not asked:
                continue
            self.admitted += 1
            interval = _interval(limit) if limit["burst"] else 0
            one = self.known[name, target, interval]  # at another rate it is another meter
            start = _window(limit, fact.at)
            if limit["burst"]:
                self._gcra(name, limit, one, asked, fact)
            elif limit["unit"] == "concurrent":
                one.open += 1
                self._check(one.open <= limit["amount_limit"], name, target, fact)
            else:
                one.windows[start] += asked
                self._check(one.windows[start] <= limit["amount_limit"], name, target, fact)
            yield one, limit, start, asked

    def _gcra(self, name: str, limit: dict[str, Any], one: Admissions, asked: int, fact: Fact) -> None:
        """ITU-T I.371, the virtual scheduling algorithm, for `asked` cells at once: conforming unless the last of them
        comes more than burst * T before it should. T is rounded up to a nanosecond.
        """
        interval = _interval(limit)
        now = (fact.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
        one.arrival = max(one.arrival, now) + asked * interval
        self._check(one.arrival - now <= limit["burst"] * interval, name, "", fact)

    def _end(self, fact: Fact) -> None:
        """What was held in a window becomes what was used; nobody is sent away for that."""
        late = fact.data.get("late", False)
        for one, limit, start, asked in self.taken.get(fact.stream, ()):
            if limit["burst"]:
                continue
            if limit["unit"] == "concurrent":
                one.open -= 0 if late else 1
            elif limit["unit"] != "requests":
                used = _used(limit, fact.data) if fact.type == "reservation.committed" else 0
                one.windows[start] += used - (0 if late else asked)

    def _check(self, holds: bool, name: str, target: str, fact: Fact) -> None:
        if not holds:
            self.violations.append(f"{fact.stream} passed {name} of {target!r} at {fact.at}")


def _interval(limit: dict[str, Any]) -> int:
    return -(-SECONDS[limit["window_kind"]] * NS // max(1, limit["amount_limit"]))


def _target(limit: dict[str, Any], fact: Fact) -> str | None:
    """Whom of a limit a call counts for."""
    data = fact.data
    names = {
        "key": fact.actor.removeprefix("key:"), "organization": "", **{
            scope: data.get(scope) for scope in ("user", "agent", "workflow", "team")
        },
    }  # fmt: skip
    target = names.get(limit["scope"])
    only = limit["target_id"] or limit["target_label"]
    if target is None or (only is not None and only != target):
        return None
    caller = names.get(limit["per"]) if limit["per"] else ""
    return None if caller is None else f"{target}\n{caller}"


def _asked(limit: dict[str, Any], data: dict[str, Any]) -> int:
    if limit["unit"] in ("requests", "concurrent"):
        return 1
    _, read, written, calls, *_ = data["action"]["kind"].split("|")
    if limit["unit"] == "tool_calls":
        return int(calls)
    return {"input": int(read), "output": int(written)}.get(limit["direction"], int(read) + int(written))


def _used(limit: dict[str, Any], data: dict[str, Any]) -> int:
    if limit["unit"] == "tool_calls":
        return int(data.get("calls", 0))
    total, read = int(data.get("tokens", 0)), int(data.get("input", 0))
    return {"input": read, "output": total - read}.get(limit["direction"], total)


def _window(limit: dict[str, Any], at: datetime) -> datetime:
    seconds = SECONDS.get(limit["window_kind"] or "", 1)
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


class Thresholds:
    """Every threshold fires once in each window and arming, with its level reached or (one that blocks) refused."""

    def __init__(self) -> None:
        self.budgets: dict[str, dict[str, Any]] = {}
        self.places: dict[int, tuple[str, str, datetime]] = {}
        self.parts: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.sums: dict[int, int] = defaultdict(int)
        self.fired: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.due: dict[tuple[int, int, int], str] = {}
        self.may: dict[tuple[int, int, int], str] = {}
        self.held: dict[str, dict[int, int]] = {}
        self.charges: dict[str, int] = {}
        self.actions: dict[str, int] = defaultdict(int)
        self.refused: list[Fact] = []
        self.last: Fact | None = None

    def see(self, fact: Fact) -> None:
        """Take a fact in; fails where a threshold fires twice, too early, or not at all."""
        data = fact.data
        if not fact.type.startswith(("threshold.", "approval.", "incident.", "switch.")):
            self.last = fact
        if fact.type != "threshold.crossed" and not fact.type.startswith(
            ("approval.", "incident.", "switch.")
        ):
            assert not self.due, f"before {fact} there should have fired {self.due}"
        if fact.type == "budget.created":
            self.budgets[fact.stream] = data
        elif fact.type == "budget.changed":
            known, self.budgets[fact.stream] = self.budgets[fact.stream], data
            if data["arming"] != known["arming"]:
                self._expect(self._standing(fact), fact)
        elif fact.type == "budget.archived":
            del self.budgets[fact.stream]
        elif fact.type == "budget_counter.opened":
            self.parts[data["budget"], data["target"]].append(data["number"])
            self.places[data["number"]] = (
                data["budget"],
                data["target"],
                datetime.fromisoformat(data["start"]),
            )
        elif fact.type == "reservation.reserved":
            self._hold(fact)
        elif fact.type in ENDS:
            self._end(fact)
        elif fact.type == "threshold.crossed" and self.places[data["counter"]][0] in self.budgets:
            self._fire(fact)

    def _hold(self, fact: Fact) -> None:
        measures = fact.data.get("measures", "c" * len(fact.data["counters"]))
        _, read, written, *_ = fact.data["action"]["kind"].split("|")
        amounts = {"c": fact.data["held"], "t": int(read) + int(written)}
        self.charges[fact.stream] = fact.data["held"]
        held = self.held[fact.stream] = {}
        for number, letter in zip(fact.data["counters"], measures, strict=True):
            if self._is_of_a_budget(number):
                held[number] = amounts[letter]
                self.sums[number] += amounts[letter]
        self._expect(list(held), fact)

    def _end(self, fact: Fact) -> None:
        data, held = fact.data, self.held[fact.stream]
        late, used = data.get("late", False), {"c": data.get("charge", 0), "t": data.get("tokens", 0)}
        measures = data.get("measures", "c" * len(data["counters"]))
        for number, letter in zip(data["counters"], measures, strict=True):
            if number in held:
                self.sums[number] += used[letter] - (0 if late else held[number])
        if "charge" not in data:
            return
        charge = int(fact.data["charge"])
        reserved = self.charges[fact.stream]
        running = [number for number in held if number in self.places and not self._is_over(number, fact.at)]
        self._expect(running, fact, must=late or charge > reserved)

    def _is_of_a_budget(self, number: int) -> bool:
        rule, target, _ = self.places[number]
        return rule in self.budgets and target[:1] not in ("\x02", "\x03", "\x04")

    def _is_over(self, number: int, at: datetime) -> bool:
        rule, _, start = self.places[number]
        budget = self.budgets.get(rule)
        if budget is None:
            return True
        if budget["window_kind"] == "rolling":
            return start < _first(budget, at)
        seconds = {"hour": 3_600, "day": 86_400}.get(budget["window_kind"])
        return seconds is not None and start + timedelta(seconds=seconds) <= at

    def _live(self, number: int, at: datetime) -> list[int]:
        """The counter, or all parts of its rolling window that still count."""
        rule, target, _ = self.places[number]
        budget = self.budgets[rule]
        if budget["window_kind"] != "rolling":
            return [number]
        first = _first(budget, at)
        return [n for n in self.parts[rule, target] if self.places[n][2] >= first]

    def _standing_of(self, live: list[int]) -> list[Any]:
        return [
            (
                n,
                self.places[n],
                self.sums[n],
                {armed: ranks for (m, armed), ranks in self.fired.items() if m == n},
            )
            for n in live
        ]

    def _standing(self, fact: Fact) -> list[int]:
        """The counters of a budget whose windows count now; of a rolling one the last part of each target."""
        found = []
        for (rule, target), numbers in self.parts.items():
            if rule == fact.stream and target[:1] not in ("\x02", "\x03", "\x04"):
                live = [number for number in numbers if not self._is_over(number, fact.at)]
                found += live[-1:]
        return found

    def _expect(self, numbers: list[int], fact: Fact, *, must: bool = True) -> None:
        """After what moved them all levels of these counters that are reached must have fired. A commit within its
        hold moves nothing up; where limits were changed it may find levels that are reached and armed anew.
        """
        self.may = {}
        for number in numbers:
            if self.places[number][0] not in self.budgets:
                continue
            budget = self.budgets[self.places[number][0]]
            live = self._live(number, fact.at)
            used = sum(self.sums[one] for one in live)
            fired = set().union(*(self.fired[one, budget["arming"]] for one in live))
            highest = max((rank for rank in fired if rank < 1_000), default=0)
            for rank, (level, action) in enumerate(_levels(budget), 1):
                told = 1_000 + rank in fired and action == "block"
                if used >= level and rank > highest and not told:
                    (self.due if must else self.may)[number, budget["arming"], rank] = action

    def _fire(self, fact: Fact) -> None:
        data = fact.data
        number, armed, rank = data["counter"], data["armed"], data["rank"]
        budget = self.budgets[self.places[number][0]]
        level, action = _levels(budget)[rank - 1]
        live = self._live(number, fact.at)
        used = sum(self.sums[one] for one in live)
        said = (data["armed"], data["level"], data["action"], data["used"])
        assert said == (budget["arming"], level, action, used), (
            fact.stream,
            budget["arming"],
            level,
            action,
            used,
        )
        fired = set().union(*(self.fired[one, armed] for one in live))
        assert not {rank, 1_000 + rank} & fired, f"{fact} fired before"
        self.actions[action] += 1
        name = (number, armed, rank)
        if data["fired"] % 1_000 != rank:  # told by a refusal; what has fired by then stays as it is
            assert action == "block" and data["fired"] >= 1_000, fact
            self.refused.append(fact)
            self.fired[number, armed].add(1_000 + rank)
            return
        is_reached = self.due.pop(name, None) or self.may.pop(name, None)
        assert is_reached and used >= level, (
            f"{fact} fired, and its level was not reached: {self._standing_of(live)}, after {self.last}"
        )
        self.fired[number, armed].add(rank)


def _levels(budget: dict[str, Any]) -> list[tuple[int, str]]:
    limit = budget["amount_limit"]
    levels = [(limit * one["percent"] // 100, one["action"]) for one in budget["thresholds"]]
    return sorted(levels, key=lambda one: (one[0], one[1] == "block"))


def _first(budget: dict[str, Any], at: datetime) -> datetime:
    length = max(1, budget["rolling_seconds"] // 60)
    begins = (at - timedelta(seconds=budget["rolling_seconds"])).timestamp()
    return datetime.fromtimestamp(int(begins) // length * length, UTC)

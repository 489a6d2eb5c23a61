"""Counters, budgets, rate limits and policies of runs in plain arithmetic: no code of the product."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.concurrency.gate.plaincalls import (
    EPOCH,
    LENGTHS,
    Call,
    Failure,
    Figures,
    Subject,
    ceiling,
    escaped,
    nanoseconds,
    seconds_of,
    text,
    time_text,
    window_end,
    window_start,
)  # fmt: skip

STRIKES, THRESHOLD = "\x03", "\x04"
MOST_WAIT = 60
PER_SECOND = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
STOPPING = ("pause", "block", "require_approval")


@dataclass
class Cell:
    """One counter; the marks of thresholds belong to the arming `armed`."""

    held: int = 0
    spent: int = 0
    armed: int = 0
    fired: int = 0
    approved: int = 0
    refused: bool = False

    def mark(self, armed: int) -> None:
        """Begin anew under another arming."""
        if armed != self.armed:
            self.armed, self.fired, self.approved, self.refused = armed, 0, 0, False


Windows = dict[datetime, Cell]
Place = tuple[str, str, datetime]


class Counters:
    """Every counter, by rule and target, then by the start of its window; and by the number of its event."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Windows] = {}
        self.numbers: dict[int, Place] = {}
        self.opened: dict[Place, int] = {}
        self.last = 0

    def open(self, place: Place, number: int) -> None:
        """A window that is used for the first time; numbers follow one another."""
        assert number == self.last + 1, number
        self.last, self.numbers[number], self.opened[place] = number, place, number
        self.cell(place)

    def of(self, rule: str, target: str) -> Windows:
        """The windows of a target."""
        return self.cells.get((rule, target), {})

    def cell(self, place: Place) -> Cell:
        """The counter of a place that is open, or that is opened now."""
        rule, target, start = place
        return self.cells.setdefault((rule, target), {}).setdefault(start, Cell())

    def look(self, place: Place) -> Cell:
        """The counter of a place, an empty one where there is none."""
        return self.of(*place[:2]).get(place[2]) or Cell()

    def is_open(self, place: Place) -> bool:
        """Whether a window has been used."""
        return place[2] in self.of(*place[:2])


@dataclass(frozen=True)
class Level:
    """A threshold: its level in units, and what it says."""

    level: int
    stated: dict[str, Any]

    @property
    def action(self) -> str:
        """What it does."""
        action: str = self.stated["action"]
        return action

    @property
    def caps(self) -> dict[str, Any]:
        """What it keeps calls to."""
        return self.stated.get("caps") or {}


@dataclass
class Budget:
    """A limit as its last event has it."""

    id: str
    scope: str
    target: str | None
    window: str
    rolling: int
    unit: str
    limit: int
    overdraft: int
    arming: int
    levels: list[Level]

    @classmethod
    def read(cls, name: str, data: dict[str, Any]) -> "Budget":
        """The budget of an event."""
        limit = data["amount_limit"]
        levels = [
            Level(step["amount"] if step.get("amount") is not None else limit * step["percent"] // 100, step)
            for step in data["thresholds"]
        ]
        return cls(
            name, data["scope"], data["target_id"] or data["target_label"], data["window_kind"],
            data["rolling_seconds"] or 0, data["unit"], limit, data["overdraft"], data["arming"],
            sorted(levels, key=lambda one: (one.level, one.action == "block")) if limit else [],
        )  # fmt: skip

    @property
    def letter(self) -> str:
        """What it counts."""
        return "t" if self.unit == "TOKENS" else "c"

    @property
    def most(self) -> int:
        """What spent and held together may be."""
        blocks = [
            one.level for one in self.levels if one.action == "block" and one.stated.get("percent") != 100
        ]
        return min([self.limit + self.overdraft, *blocks]) if self.limit else 0 + self.overdraft

    @property
    def block(self) -> int | None:
        """The rank of the lowest level that blocks."""
        return next((rank for rank, one in enumerate(self.levels, 1) if one.action == "block"), None)

    def shown(self, amount: int) -> str:
        """An amount in its unit."""
        return str(amount) if self.unit == "TOKENS" else text(amount)

    def target_of(self, subject: Subject) -> str | None:
        """For whom a call counts here; None when it does not. `run` of the subject is the root run."""
        target = "" if self.scope == "organization" else subject.get(self.scope)
        if target is None or (self.target is not None and self.target != target):
            return None
        if self.window != "run" or self.scope == "run":
            return target
        run = subject.get("run")
        return None if run is None else f"{escaped(target)}/{run}"

    def bucket(self) -> timedelta | None:
        """How long the parts are that a rolling window moves by."""
        return timedelta(seconds=max(1, self.rolling // 60)) if self.window == "rolling" else None

    def start(self, at: datetime) -> datetime:
        """The window of a moment."""
        return window_start(self.window, at, self.bucket())

    def counted(self, counters: Counters, target: str, at: datetime) -> Windows:
        """The windows that count at a moment."""
        windows = counters.of(self.id, target)
        if self.window != "rolling":
            now = self.start(at)
            return {now: windows[now]} if now in windows else {}
        first = self.start(at - timedelta(seconds=self.rolling))
        return {start: cell for start, cell in windows.items() if start >= first}

    def used(self, counters: Counters, target: str, at: datetime) -> tuple[int, int]:
        """Held and spent at a moment."""
        counted = self.counted(counters, target, at).values()
        return sum(cell.held for cell in counted), sum(cell.spent for cell in counted)

    def marks(self, counters: Counters, target: str, at: datetime) -> tuple[int, int, bool]:
        """Up to which rank its levels have fired and were approved, and whether the one that blocks has refused."""
        live = [cell for cell in self.counted(counters, target, at).values() if cell.armed == self.arming]
        fired = max((cell.fired for cell in live), default=0)
        approved = max((cell.approved for cell in live), default=0)
        return fired, approved, any(cell.refused for cell in live)

    def resets(self, counters: Counters, target: str, at: datetime) -> datetime | None:
        """When what counts now no longer does."""
        length = self.bucket()
        if length is None:
            return window_end(self.window, at)
        counted = self.counted(counters, target, at).items()
        full = [start + length for start, cell in counted if cell.held or cell.spent]
        return min(full, default=at) + timedelta(seconds=self.rolling)

    def is_over(self, start: datetime, at: datetime) -> bool:
        """Whether a window no longer counts."""
        length = self.bucket()
        if length is not None:
            return start < self.start(at - timedelta(seconds=self.rolling))
        return self.window in LENGTHS and start + LENGTHS[self.window] <= at


@dataclass
class Meter:
    """Something that is counted beside money: a rate, a throttle of a threshold, a ceiling of a run, steps of a cap."""

    rule: str
    kind: str
    scope: str
    target: str
    label: str | None
    counts: str
    unit: str
    most: int
    window: str = "lifetime"
    interval: int = 0
    burst: int = 0
    behaviour: str = "reject"
    strikes: Place | None = None
    begins: datetime | None = None
    rolling: int = 0

    @property
    def letter(self) -> str:
        """That of the receipt."""
        return "g" if self.burst else self.counts

    def place(self, at: datetime) -> Place:
        """Its counter at a moment."""
        return self.rule, self.target, self.begins or window_start(self.window, at, self.bucket())

    def bucket(self) -> timedelta | None:
        """How long the parts are that a rolling window moves by."""
        return timedelta(seconds=max(1, self.rolling // 60)) if self.rolling else None

    def look(self, counters: Counters, at: datetime) -> Cell:
        """What counts at a moment."""
        if not self.rolling:
            return counters.look(self.place(at))
        living = self._living(counters, at).values()
        return Cell(held=sum(cell.held for cell in living), spent=sum(cell.spent for cell in living))

    def _living(self, counters: Counters, at: datetime) -> Windows:
        first = window_start(self.window, at - timedelta(seconds=self.rolling), self.bucket())
        windows = counters.of(self.rule, self.target)
        return {start: cell for start, cell in windows.items() if start >= first}

    def _resets(self, counters: Counters, at: datetime) -> datetime | None:
        length = self.bucket()
        if length is None:
            return window_end(self.window, at)
        full = [
            start + length for start, cell in self._living(counters, at).items() if cell.held or cell.spent
        ]
        return min(full, default=at) + timedelta(seconds=self.rolling)

    def refusal(self, counters: Counters, call: Call, at: datetime) -> Failure | None:
        """Why the call does not fit."""
        asked, cell = call.asks(self.counts), self.look(counters, at)
        if not asked:
            return None
        if self.burst:
            over, left, fits = self.conforms(cell.spent, asked, at)
            if over <= 0 and self.most:
                return None
            wait = max(1, ceiling(over, 10**9)) if fits else None
        elif cell.spent + cell.held + asked <= self.most:
            return None
        else:
            left, wait = max(0, self.most - cell.spent - cell.held), self._wait(asked, at)
        if wait is not None and self.behaviour == "throttle" and call.attempt:
            wait = max(wait, min(MOST_WAIT, wait * 2 ** min(call.attempt - 1, 10)))
        figures = self._figures(cell, asked, left, self._resets(counters, at))
        code = {"ceiling": "run_ceiling_reached", "steps": "budget_exhausted"}.get(self.kind, "rate_limited")
        return code, self.scope, figures, wait

    def conforms(self, arrival: int, asked: int, at: datetime) -> tuple[int, int, bool]:
        """By how much a GCRA is passed (nanoseconds), what is left of it, and whether so much may ever pass."""
        now = nanoseconds(at)
        horizon = now + self.burst * self.interval
        begins = max(arrival, now)
        left = max(0, (horizon - begins) // self.interval) if self.most else 0
        return begins + asked * self.interval - horizon, left, bool(self.most) and asked <= self.burst

    def _wait(self, asked: int, at: datetime) -> int | None:
        if asked > self.most:
            return None
        if self.counts == "n":
            return 1
        end = window_end(self.window, at)
        return None if end is None else seconds_of(end - at)

    def _figures(self, cell: Cell, asked: int, left: int, resets: datetime | None) -> Figures:
        counted = (
            {"burst": str(self.burst)} if self.burst else {"spent": str(cell.spent), "held": str(cell.held)}
        )
        return {
            "scope": self.scope, "target": self.label, "rule": self.rule, "kind": self.kind, "unit": self.unit,
            "limit": str(self.most), "requested": str(asked), "remaining": str(left),
            "resets_at": time_text(resets), **counted,
        }  # fmt: skip

    def take(self, counters: Counters, call: Call, at: datetime) -> int | None:
        """Count the call; by how much the arrival time of a GCRA moves."""
        cell, asked = counters.cell(self.place(at)), call.asks(self.counts)
        if self.letter == "g":
            moved = max(cell.spent, nanoseconds(at)) + asked * self.interval - cell.spent
            cell.spent += moved
            return moved
        if self.letter in "qs":
            cell.spent += asked
        else:
            cell.held += asked
        return None


@dataclass
class Limit:
    """A rate limit as its last event has it."""

    id: str
    data: dict[str, Any]

    @property
    def counts(self) -> str:
        """What it counts."""
        direction = {"input": "i", "output": "o"}.get(self.data["direction"] or "")
        return (
            direction
            or {"requests": "q", "tokens": "t", "tool_calls": "x", "concurrent": "n"}[self.data["unit"]]
        )

    def meter(self, subject: Subject, labels: Subject, at: datetime) -> Meter | None:
        """What counts a call; None where it does not apply."""
        data = self.data
        scope, only = data["scope"], data["target_id"] or data["target_label"]
        target = "" if scope == "organization" else subject.get(scope)
        if target is None or (only is not None and only != target):
            return None
        if data["per"] is not None:
            caller = subject.get(data["per"])
            if not caller:
                return None
            target = f"{escaped(target)}/{caller}"
        window, burst = data["window_kind"] or "lifetime", data["burst"] or 0
        strikes = None
        if data["escalate_denials"]:
            length = timedelta(seconds=max(1, data["escalate_seconds"] // 60))
            strikes = (self.id, STRIKES + target, window_start("", at, length))
        return Meter(
            self.id, "rate", scope, target, labels.get(scope), self.counts, data["unit"], data["amount_limit"],
            "lifetime" if burst else window, self.interval(), burst, data["behaviour"], strikes,
            EPOCH + timedelta(microseconds=self.interval() // 1_000) if burst else None,
        )  # fmt: skip

    def interval(self) -> int:
        """Nanoseconds between two of a GCRA, rounded up."""
        seconds = PER_SECOND.get(self.data["window_kind"] or "", 1)
        return ceiling(seconds * 10**9, max(1, self.data["amount_limit"]))

    def struck(self, counters: Counters, target: str, at: datetime) -> bool:
        """Whether it has refused so often that it escalates."""
        seconds = self.data["escalate_seconds"]
        length = timedelta(seconds=max(1, seconds // 60))
        first = window_start("", at - timedelta(seconds=seconds), length)
        counted = [c.spent for start, c in counters.of(self.id, target).items() if start >= first]
        most: int = self.data["escalate_denials"]
        return sum(counted) >= most


def meters_of_levels(
    budget: Budget, target: str, label: str | None, used: int, limits: dict[str, Limit]
) -> Iterator[Meter]:
    """The rates and steps that the levels of a budget set which are reached."""
    for rank, one in enumerate(budget.levels, 1):
        if used < one.level:
            return
        slower = _slower(budget, one, limits)
        if slower is not None:
            given: dict[str, Any] = {"target": f"{THRESHOLD}{rank}r{budget.arming}:{target}", "label": label}
            if slower.get("burst"):
                given["begins"] = EPOCH + timedelta(microseconds=slower["interval"] // 1_000)
            yield Meter(budget.id, "throttle", budget.scope, **given, **slower)
        if one.caps.get("steps") is not None:
            named = f"{THRESHOLD}{rank}s{budget.arming}:{target}"
            yield Meter(
                budget.id, "steps", budget.scope, named, label, "q", "steps", one.caps["steps"], budget.window,
                rolling=budget.rolling,
            )  # fmt: skip


def _slower(budget: Budget, one: Level, limits: dict[str, Limit]) -> dict[str, Any] | None:
    rate, share = one.stated.get("per_minute"), one.stated.get("rate_percent")
    requests = {"counts": "q", "unit": "requests"}
    if rate:
        return {**requests, "most": rate, "interval": ceiling(60 * 10**9, rate), "burst": rate}
    if share and one.stated["rate_limit"] in limits:
        limit = limits[one.stated["rate_limit"]]
        burst, most = limit.data["burst"] or 0, limit.data["amount_limit"] * share // 100
        if burst and limit.data["amount_limit"]:
            most = max(1, most)
        return {
            "counts": limit.counts, "unit": limit.data["unit"], "most": most,
            "interval": ceiling(limit.interval() * 100, share), "burst": max(1, burst * share // 100) if burst else 0,
            "window": "lifetime" if burst else limit.data["window_kind"] or "lifetime",
        }  # fmt: skip
    if one.caps.get("cooldown_ms"):
        return {**requests, "most": 1, "interval": one.caps["cooldown_ms"] * 10**6, "burst": 1}
    return None


@dataclass
class Policy:
    """Rules of runs as their last event has them."""

    id: str
    data: dict[str, Any]

    @property
    def rules(self) -> dict[str, Any]:
        """What they say."""
        rules: dict[str, Any] = self.data["rules"]
        return rules

    @property
    def scope(self) -> str:
        """For whose runs."""
        scope: str = self.data["scope"]
        return scope

    def applies(self, subject: Subject) -> bool:
        """Whether a call's run is under it; `run` of the subject is the root run."""
        target = "" if self.scope == "organization" else subject.get(self.scope)
        only = self.data["target_id"] or self.data["target_label"]
        return target is not None and only in (None, target)

    def ceilings(self, root: str) -> Iterator[Meter]:
        """What it counts of a run's tree."""
        for letter, unit in (("s", "steps"), ("x", "tool_calls")):
            most = self.rules.get(f"max_{unit}")
            if most is not None:
                yield Meter(self.id, "ceiling", "run", f"{letter}/{root}", root, letter, unit, most, "run")


@dataclass(frozen=True)
class Run:
    """A run and where it stands."""

    key: str
    root: str
    parent: str | None = None
    depth: int = 0
    began: datetime | None = None


@dataclass
class Past:
    """What a run did: its last fingerprints, how many levels of loops have acted (and bits of ceilings), its steps."""

    trace: list[tuple[str, datetime]] = field(default_factory=list)
    level: int = 0
    tried: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)

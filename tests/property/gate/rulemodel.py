"""What rules beside money do to calls, as plain arithmetic: thresholds, limits, policies of runs, observed rules.

Times are half hours, as in `model`. No code of the product.
"""

from collections import Counter
from dataclasses import dataclass, field

HOUR, DAY = 2, 48
RANKS = {"run": 0, "user": 1, "agent": 2, "organization": 6, "credit": 99}
STOPPING = ("require_approval", "pause", "block")
Key = tuple[str, int]
Place = tuple[str, str, str]
"""Of a switch: mode, scope and target."""


@dataclass(frozen=True)
class Call:
    """A call to be judged."""

    amount: int
    subject: dict[str, str]
    lifetime: int = 1
    step: int | None = None
    attempt: int | None = None
    fingerprint: str | None = None
    is_retry: bool = False

    @property
    def run(self) -> str | None:
        """Its run."""
        return self.subject.get("run")

    def asks(self, letter: str) -> int:
        """What a counter with this letter is asked for."""
        if letter == "s":
            return 0 if self.is_retry else 1
        return self.amount if letter == "c" else 1


@dataclass
class Cell:
    """A counter with the marks of thresholds, under the arming that they belong to."""

    held: int = 0
    spent: int = 0
    armed: int = 0
    fired: int = 0
    approved: int = 0
    refused: bool = False
    is_open: bool = False

    def mark(self, armed: int) -> None:
        """Begin anew under another arming."""
        if self.armed != armed:
            self.armed, self.fired, self.approved, self.refused = armed, 0, 0, False

    def marks(self, armed: int) -> tuple[int, int, bool]:
        """What counts under this arming."""
        return (self.fired, self.approved, self.refused) if self.armed == armed else (0, 0, False)


@dataclass
class Rule:
    """What counts calls of a scope in windows. `shadow` are the counters of its observed life."""

    scope: str
    window: str
    limit: int
    letter: str = "c"
    mode: str = "enforce"
    cells: dict[Key, Cell] = field(default_factory=dict)
    shadow: dict[Key, Cell] = field(default_factory=dict)

    def key(self, subject: dict[str, str], at: int) -> Key | None:
        """The target and window that a call counts for."""
        target = "" if self.scope == "organization" else subject.get(self.scope)
        if target is None:
            return None
        return target, {"hour": at // HOUR, "day": at // DAY}.get(self.window, 0)

    def is_over(self, key: Key, at: int) -> bool:
        """Whether a window has passed."""
        return self.window in ("hour", "day") and key[1] < {"hour": at // HOUR, "day": at // DAY}[self.window]

    def counters(self, mode: str) -> dict[Key, Cell]:
        """Its counters in the real or the shadow gate."""
        return self.cells if mode == "enforce" else self.shadow

    def look(self, key: Key, mode: str) -> Cell:
        """A counter, an empty one where there is none."""
        return self.counters(mode).get(key) or Cell()


@dataclass
class Budget(Rule):
    """A limit of money with thresholds, (percent, action), ascending; `arming` counts its changes."""

    thresholds: tuple[tuple[int, str], ...] = ()
    arming: int = 1

    @property
    def levels(self) -> list[tuple[int, str]]:
        """Level and action."""
        return [(self.limit * percent // 100, action) for percent, action in self.thresholds]

    @property
    def most(self) -> int:
        """What spent and held may be."""
        lower = [self.limit * percent // 100 for percent, action in self.thresholds if action == "block"]
        return min([self.limit, *lower])

    @property
    def block(self) -> int:
        """The rank of the lowest level that blocks; 0 without one."""
        return next((rank for rank, (_, action) in enumerate(self.thresholds, 1) if action == "block"), 0)

    def refusal(self, cell: Cell, amount: int) -> str | None:
        """Why an amount does not fit."""
        if cell.spent + cell.held + amount <= self.most:
            return None
        if amount > self.limit:
            return "too_large"
        if cell.spent + amount > self.most:
            return "run_ceiling_reached" if self.scope == "run" else "budget_exhausted"
        return "budget_busy"

    def waits(self, cell: Cell) -> bool:
        """Whether it stands at a level that a person must approve."""
        fired, approved, _ = cell.marks(self.arming)
        asked = [rank for rank, (_, action) in enumerate(self.thresholds, 1) if action == "require_approval"]
        asked = [rank for rank in asked if rank <= fired]
        is_reached = bool(self.levels) and cell.held + cell.spent >= self.levels[0][0]
        return is_reached and bool(asked) and asked[-1] > approved


@dataclass
class Limit(Rule):
    """A rate limit. With `burst` a GCRA: one each half hour, so many at once. `strikes` denials in the same moment
    pause its target (0: it does not escalate).
    """

    burst: int = 0
    strikes: int = 0
    struck: Counter[tuple[str, int]] = field(default_factory=Counter)

    def refuses(self, key: Key, mode: str, call: Call, now: int) -> bool:
        """Whether a call does not fit."""
        cell, asked = self.look(key, mode), call.asks(self.letter)
        if not asked:
            return False
        if self.burst:  # one each half hour: the arrival time is a number of half hours
            return max(cell.spent, now) + asked > now + self.burst
        return cell.spent + cell.held + asked > self.limit


@dataclass
class Policy:
    """The rules of every run: steps, attempts of a step with a doubling pause, repeats of a fingerprint."""

    steps: Limit
    attempts: int
    first: int
    longest: int
    window: int
    levels: tuple[tuple[int, str], ...]


@dataclass
class Past:
    """What a run did."""

    tried: dict[int, tuple[int, int]] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    trace: list[str] = field(default_factory=list)
    acted: int = 0

    def counted(self, step: int, said: int) -> int:
        """A retry comes after those that were accepted; a first attempt is one more call of the last."""
        accepted = self.tried[step][0] if step in self.tried else 0
        return max(said, accepted + 1) if said > 1 else max(said, accepted)


@dataclass
class Approval:
    """A level that waits for a person."""

    budget: Budget
    key: Key
    armed: int
    rank: int

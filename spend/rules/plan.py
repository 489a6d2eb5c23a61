"""A command with everything looked up that its decision needs: who, at which prices, under which budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from common.errors import ProblemError
from ledger.rules.grants import GrantSubject
from spend.rules.rating import Rated, Usage
from spend.rules.runpolicies import RunPolicy
from spend.rules.splits import Splits
from spend.rules.state import CounterKey, Run
from spend.rules.windows import Window


def written(moment: datetime) -> str:
    """Return a time as the API and the events write it (RFC 3339, UTC)."""
    return moment.isoformat().replace("+00:00", "Z")


class LayerPlace:
    """Where a budget counts a call: target and window, the target's name for people (`label`), and of a rolling
    budget the first bucket that still counts. `extra` is what an override adds to its limit.

    `budget` may be a meter. Of a meter `when` is the place of the budget, and the level from which on it counts;
    `strikes` is where the denials of a limit that escalates are counted.
    """

    __slots__ = (
        "budget", "extra", "first_bucket", "key", "label", "resets_text", "strikes", "target", "when", "window",
    )  # fmt: skip

    def __init__(
        self,
        budget: Any,
        target: str,
        window: Window,
        label: str | None = None,
        first_bucket: datetime | None = None,
        *,
        extra: int = 0,
        when: "tuple[LayerPlace, int] | None" = None,
        strikes: "LayerPlace | None" = None,
    ) -> None:
        self.budget, self.target, self.window, self.label = budget, target, window, label
        self.first_bucket, self.extra, self.when, self.strikes = first_bucket, extra, when, strikes
        self.key: CounterKey = (str(budget.id), target, window.start)
        self.resets_text = None if window.end is None else written(window.end)


Valid = tuple[datetime, datetime | None]
"""[from, until) in which something that was looked up is the same; until None: for ever."""


@dataclass(slots=True)
class Places:
    """Everything that counts a call: enforced budgets, narrow to wide, and meters; `passive` counters of observed
    budgets, which refuse nothing; `shadow`, all observed rules; and the run policies that apply.
    """

    valid: Valid
    budgets: list[LayerPlace]
    meters: list[LayerPlace] = field(default_factory=list)
    passive: list[LayerPlace] = field(default_factory=list)
    shadow: list[LayerPlace] = field(default_factory=list)
    policies: list[RunPolicy] = field(default_factory=list)
    is_plain: bool = True

    def all(self) -> list[LayerPlace]:
        """Return every place whose counter a decision may want."""
        if self.is_plain:
            return self.budgets
        found = [*self.budgets, *self.meters, *self.passive, *self.shadow]
        return found + [place.strikes for place in found if place.strikes is not None]


@dataclass(slots=True)
class Route:
    """The resolved subjects of a call but for its user and run: the same for many calls, so it is made once."""

    agent_id: str
    team_id: str | None
    workflow_id: str | None
    connection_id: str | None
    own_key: bool
    agent_key: str
    team_key: str | None
    workflow_key: str | None
    connection_key: str | None
    grants: GrantSubject
    archived: tuple[str, str] | None = None  # scope and key of what is


class Who(msgspec.Struct):
    """The resolved subject of a call; `forbidden` is the limit of the caller's key that it passes."""

    route: Route
    user: str | None
    run: Run | None
    parent: Run | None
    forbidden: tuple[str, str | None] | None = None  # scope and key


class Amounts(msgspec.Struct, frozen=True):
    """What is asked of, or booked on, each unit of budget; money in units."""

    cost: int = 0
    charge: int = 0
    tokens: int = 0
    credits: int = 0
    risk_points: int = 0
    tool_calls: int = 0
    input_tokens: int = 0

    def by_letter(self) -> dict[str, int]:
        """Return the amounts by the letter of their measure."""
        return {"c": self.charge, "k": self.cost, "t": self.tokens, "r": self.credits, "p": self.risk_points}

    def by_meter(self) -> dict[str, int]:
        """Return the amounts by the letters that only meters count; a step is asked for by a first attempt only."""
        return {
            "t": self.tokens,
            "i": self.input_tokens,
            "o": self.tokens - self.input_tokens,
            "x": self.tool_calls,
            "q": 1,
            "n": 1,
        }


NO_AMOUNTS = Amounts()


@dataclass(slots=True)
class Plan:
    """A command ready to be decided; `error` is why it cannot be (a request error, before any judgement).

    What was looked up holds for decisions in [valid_from, valid_until). `splits` are the organization's split rules by
    listing, where it has any, and `listing` what the agent is offered as.
    """

    who: Who | None = None
    rated: Rated | None = None
    usage: Usage | None = None
    amounts: Amounts = NO_AMOUNTS
    places: Places | None = None
    error: ProblemError | None = None
    adjustment: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    splits: Mapping[str, Splits] | None = None
    listing: str | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Return whether the plan would be the same if it were made at this moment."""
        if self.valid_from is None or moment < self.valid_from:
            return False
        return self.valid_until is None or moment < self.valid_until

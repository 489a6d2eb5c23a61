"""Default policies (S44): what every agent, workflow and run gets that nobody gave a cap.

A default is nothing but a budget or rate limit without a target: every one of its scope has its own counter from its
first call on. So there is one kind of each, one place that the gate looks at, and nothing that could be forgotten when
an agent or a run is made. Here stands how a stated list of defaults is compared with those that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from common.errors import FieldError, ProblemError
from spend.rules import budgetfacts, limitfacts
from spend.rules.budgetfacts import Budget, Terms
from spend.rules.limitfacts import LimitTerms
from spend.rules.limits import RateLimit
from spend.rules.thresholds import DEFAULT_THRESHOLDS, stored

SCOPES: Final = ("agent", "workflow", "run")
LIMITED_SCOPES: Final = ("agent", "workflow")
"""Those that rate limits have; a run is limited by run policies."""
MAX_DEFAULTS: Final = 20
"""Budgets, and rate limits, without a target in one scope: each is one more layer of every call."""
_Row = TypeVar("_Row")
_Terms = TypeVar("_Terms")


@dataclass(frozen=True, slots=True)
class Stated(Generic[_Terms]):
    """One default as the body states it: its place there, what it counts, its terms, and what may be changed of it,
    in full: a default that is stated anew does not keep what is no longer said."""

    place: str
    counts: tuple[Any, ...]
    terms: _Terms
    whole: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settled(Generic[_Row, _Terms]):
    """What becomes of one scope's defaults: rows that are changed, terms that are made, rows that end."""

    changes: list[tuple[Stated[_Terms], _Row]]
    made: list[Stated[_Terms]]
    ended: list[_Row]


def settle(
    stated: Sequence[Stated[_Terms]], live: Sequence[_Row], counts: Callable[[_Row], tuple[Any, ...]]
) -> Settled[_Row, _Terms]:
    """Return how the live defaults of a scope become the stated ones: one that counts the same as a live one changes
    it, so that it keeps its counters."""
    settled: Settled[_Row, _Terms] = Settled([], [], list(live))
    for one in stated:
        same = next((row for row in settled.ended if counts(row) == one.counts), None)
        if same is None:
            settled.made.append(one)
        else:
            settled.ended.remove(same)
            settled.changes.append((one, same))
    return settled


def stated_budgets(
    scope: str, values: Sequence[Mapping[str, Any]], *, currency: str, time_zone: str
) -> list[Stated[Terms]]:
    """Return the budgets that a body states; without currency and unit one is in the organization's `currency`.

    Raises the errors of `budgetfacts.read_terms`, with pointers into the whole body.
    """
    found = []
    for index, value in enumerate(values):
        place = f"/{scope}/budgets/{index}"
        unit = {} if "currency" in value or "unit" in value else {"currency": currency}
        with below(place):
            terms = budgetfacts.read_terms({**value, **unit, "scope": scope})
        counts = (
            terms.window,
            terms.rolling_seconds,
            terms.unit,
            terms.measure,
            terms.time_zone or time_zone,
        )
        whole = {
            "limit": value["limit"],
            "overdraft": value.get("overdraft", "0"),
            "mode": terms.mode,
            "thresholds": value.get("thresholds", stored(DEFAULT_THRESHOLDS)),
        }
        found.append(Stated(place, counts, terms, whole))
    return found


def stated_limits(scope: str, values: Sequence[Mapping[str, Any]]) -> list[Stated[LimitTerms]]:
    """Return the rate limits that a body states.

    Raises the errors of `limitfacts.read_terms`, with pointers into the whole body.
    """
    found = []
    for index, value in enumerate(values):
        place = f"/{scope}/rate_limits/{index}"
        with below(place):
            terms = limitfacts.read_terms({**value, "scope": scope})
        counts = (terms.unit, terms.direction, terms.window, terms.per)
        whole = {name: value.get(name) for name in ("burst", "escalate", "active_hours")}
        whole |= {"limit": terms.limit, "behaviour": terms.behaviour, "mode": terms.mode}
        found.append(Stated(place, counts, terms, whole))
    return found


def budget_counts(budget: Budget) -> tuple[Any, ...]:
    """Return what makes a default budget another one."""
    return budget.window_kind, budget.rolling_seconds, budget.unit, budget.measure, budget.time_zone


def limit_counts(limit: RateLimit) -> tuple[Any, ...]:
    """Return what makes a default rate limit another one."""
    return limit.unit, limit.direction, limit.window_kind, limit.per


@contextmanager
def below(pointer: str) -> Iterator[None]:
    """Let errors inside point below a place of the body."""
    try:
        yield
    except ProblemError as error:
        error.errors = [FieldError(pointer + each.pointer, each.code, each.detail) for each in error.errors]
        raise

"""Default policies (S44): what every agent, workflow and run gets that nobody gave a cap.

A default is nothing but a budget without a target: every one of its scope has its own counter from its first call on.
So there is one kind of budget, one place that the gate looks at, and nothing that could be forgotten when an agent or
a run is made. Here stands how a stated list of defaults is compared with those that there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from common.errors import FieldError, ProblemError
from spend.rules.budgetfacts import Budget, Terms, read_terms
from spend.rules.thresholds import DEFAULT_THRESHOLDS, stored

SCOPES: Final = ("agent", "workflow", "run")
MAX_DEFAULTS: Final = 20
"""Budgets without a target in one scope: each is one more layer of every call."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of one scope's defaults: budgets that are changed and terms that are made, each with the place in
    the body that states it, and budgets that end."""

    changes: list[tuple[str, Budget, Mapping[str, Any]]]
    made: list[tuple[str, Terms]]
    ended: list[Budget]


def settle(
    scope: str,
    stated: Sequence[Mapping[str, Any]],
    live: Sequence[Budget],
    *,
    currency: str,
    time_zone: str,
) -> Settled:
    """Return how the live defaults of a scope become the stated ones, each named by what it counts in which window.

    What is left out of a stated one is as in a new budget; without currency and unit it is in `currency`. One that
    counts the same as a live one changes it and keeps its counters. Raises the errors of `read_terms`, with pointers
    into the whole body.
    """
    remaining = list(live)
    settled = Settled([], [], remaining)
    for index, values in enumerate(stated):
        place = f"/{scope}/budgets/{index}"
        with below(place):
            terms = _terms(scope, values, currency)
        same = [budget for budget in remaining if _counts(budget) == _would_count(terms, time_zone)]
        if same:
            remaining.remove(same[0])
            settled.changes.append((place, same[0], _whole(values)))
        else:
            settled.made.append((place, terms))
    return settled


@contextmanager
def below(pointer: str) -> Iterator[None]:
    """Let errors inside point below a place of the body."""
    try:
        yield
    except ProblemError as error:
        error.errors = [FieldError(pointer + each.pointer, each.code, each.detail) for each in error.errors]
        raise


def _terms(scope: str, values: Mapping[str, Any], currency: str) -> Terms:
    unit = {} if "currency" in values or "unit" in values else {"currency": currency}
    return read_terms({**values, **unit, "scope": scope})


def _counts(budget: Budget) -> tuple[Any, ...]:
    return budget.window_kind, budget.rolling_seconds, budget.unit, budget.measure, budget.time_zone


def _would_count(terms: Terms, time_zone: str) -> tuple[Any, ...]:
    return terms.window, terms.rolling_seconds, terms.unit, terms.measure, terms.time_zone or time_zone


def _whole(values: Mapping[str, Any]) -> dict[str, Any]:
    """What may change, stated in full: a default that is stated anew does not keep what is no longer said."""
    return {
        "limit": values["limit"],
        "overdraft": values.get("overdraft", "0"),
        "mode": values.get("mode", "enforce"),
        "thresholds": values.get("thresholds", stored(DEFAULT_THRESHOLDS)),
    }

"""The life of a budget: what it may be, and the facts of making, changing and archiving it.

Window, target and unit stay for ever: they say what its counters mean. Limit, overdraft, thresholds and mode may
change at any time, also to below what is spent and held (S42): nothing is released or lost, new calls are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from common.errors import CurrencyMismatch, InvalidField, InvalidTransition, ProblemError
from common.money import checked_units
from orgs.rules.facts import Fact, id_text, time_text, with_changes
from spend.rules import thresholds as levels
from spend.rules.budgets import MONEY_FREE_UNITS, SCOPES, BudgetDefinition, Threshold
from spend.rules.thresholds import DEFAULT_THRESHOLDS
from spend.rules.windows import WINDOW_KINDS

MEASURES: Final = ("charge", "cost")
MODES: Final = ("off", "observe", "enforce")
ARMED_BY: Final = ("amount_limit", "overdraft", "thresholds")
"""A change of any of these arms every threshold anew (S37)."""
TARGETED_SCOPES: Final = frozenset(("team", "agent", "workflow", "connection"))
LABELLED_SCOPES: Final = frozenset(("run", "user"))
MAX_ROLLING_SECONDS: Final = 366 * 86_400


class RunIsChild(ProblemError):
    """A child run draws from its root run; give the budget to the root run."""

    status = 422
    code = "run_is_child"


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget's row. Limit and overdraft in units of 10^-8, or whole TOKENS, CREDITS or RISK_POINTS.

    `arming` counts the changes of limit, overdraft and thresholds, each of which arms the thresholds anew.
    """

    id: UUID
    organization: UUID
    scope: str
    target_id: UUID | None
    target_label: str | None
    window_kind: str
    rolling_seconds: int | None
    unit: str
    measure: str
    amount_limit: int
    overdraft: int
    mode: str
    time_zone: str
    thresholds: tuple[Threshold, ...]
    version: int
    created_at: datetime
    archived_at: datetime | None = None
    arming: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new budget is to be; limit, overdraft and threshold amounts in `unit`, `target` is a key, id or label."""

    scope: str
    window: str
    unit: str
    limit: int
    overdraft: int = 0
    target: str | None = None
    rolling_seconds: int | None = None
    measure: str = "charge"
    time_zone: str | None = None
    mode: str = "enforce"
    thresholds: tuple[Threshold, ...] = DEFAULT_THRESHOLDS


def read_terms(values: Mapping[str, Any]) -> Terms:
    """Return the terms that a request states, its fields checked one by one before (limits are texts).

    Raises InvalidField, InvalidAmount and InvalidThresholds, and whatever else `parse_thresholds` does.
    """
    unit = unit_of(currency=values.get("currency"), unit=values.get("unit"))
    given = values.get("thresholds")
    return Terms(
        scope=values["scope"],
        window=values["window"],
        unit=unit,
        limit=levels.parse_limit(values["limit"], unit=unit, pointer="/limit"),
        overdraft=levels.parse_limit(values.get("overdraft", "0"), unit=unit, pointer="/overdraft"),
        target=values.get("target"),
        rolling_seconds=values.get("rolling_seconds"),
        measure=values.get("measure", "charge"),
        time_zone=values.get("time_zone"),
        mode=values.get("mode", "enforce"),
        thresholds=DEFAULT_THRESHOLDS if given is None else levels.parse_thresholds(given, unit=unit),
    )


def unit_of(*, currency: str | None, unit: str | None) -> str:
    """Return what a budget counts: a currency, or TOKENS, CREDITS or RISK_POINTS. Raises InvalidField."""
    if currency is not None and unit is not None:
        raise InvalidField("A budget has a currency or a unit, not both.", pointer="/unit")
    chosen = unit if unit is not None else currency
    if chosen is None:
        raise InvalidField("A budget has a currency or a unit.", pointer="/currency")
    return chosen


def check_terms(terms: Terms, *, currency: str) -> None:
    """Refuse terms that do not fit each other or the organization's currency.

    Raises InvalidField and CurrencyMismatch.
    """
    assert terms.scope in SCOPES and terms.window in WINDOW_KINDS
    if (terms.window == "rolling") != (terms.rolling_seconds is not None):
        raise InvalidField(
            "rolling_seconds belongs to a rolling window, and only there.", pointer="/rolling_seconds"
        )
    if terms.unit in MONEY_FREE_UNITS:
        if terms.measure != "charge":
            raise InvalidField("Only a budget in a currency measures charge or cost.", pointer="/measure")
    elif terms.unit != currency:
        raise CurrencyMismatch(f"The organization's currency is {currency}.", pointer="/currency")


def created(
    terms: Terms,
    *,
    identifier: UUID,
    organization: UUID,
    target_id: UUID | None,
    target_label: str | None,
    time_zone: str,
    at: datetime,
) -> tuple[Budget, Fact]:
    """Return a new budget and the fact that makes it.

    Raises AmountOutOfRange (limit + overdraft).
    """
    budget = Budget(
        id=identifier,
        organization=organization,
        scope=terms.scope,
        target_id=target_id,
        target_label=target_label,
        window_kind=terms.window,
        rolling_seconds=terms.rolling_seconds,
        unit=terms.unit,
        measure=terms.measure,
        amount_limit=terms.limit,
        overdraft=terms.overdraft,
        mode=terms.mode,
        time_zone=time_zone,
        thresholds=terms.thresholds,
        version=1,
        created_at=at,
    )
    checked_units(budget.amount_limit + budget.overdraft)
    return budget, _fact(budget, "created", _data(budget), at)


def changed(budget: Budget, changes: Mapping[str, Any], *, at: datetime) -> tuple[Budget, Fact | None]:
    """Return the budget with another limit, overdraft, mode or thresholds, and the fact of it with old and new
    values (S42); no fact when nothing would be different.

    `changes` are texts and lists as requests state them. Another limit, overdraft or other thresholds arm the budget
    anew. Raises InvalidTransition for an archived one, InvalidAmount, InvalidThresholds (and whatever else
    `parse_thresholds` does) and AmountOutOfRange.
    """
    if budget.archived_at is not None:
        raise InvalidTransition("The budget is archived.")
    new = replace(budget, **_parsed(budget.unit, changes))
    checked_units(new.amount_limit + new.overdraft)
    if any(getattr(new, name) != getattr(budget, name) for name in ARMED_BY):
        new = replace(new, arming=budget.arming + 1)
    return _next(budget, new, "changed", at)


def archived(budget: Budget, *, at: datetime) -> tuple[Budget, Fact | None]:
    """Return the budget as it no longer limits anything, and the fact of it; no fact when it is archived already."""
    if budget.archived_at is not None:
        return budget, None
    return _next(budget, replace(budget, archived_at=at), "archived", at)


def _parsed(unit: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "limit" in changes:
        values["amount_limit"] = levels.parse_limit(changes["limit"], unit=unit, pointer="/limit")
    if "overdraft" in changes:
        values["overdraft"] = levels.parse_limit(changes["overdraft"], unit=unit, pointer="/overdraft")
    if "thresholds" in changes:
        values["thresholds"] = levels.parse_thresholds(changes["thresholds"], unit=unit)
    if "mode" in changes:
        values["mode"] = changes["mode"]
    return values


def _next(old: Budget, new: Budget, verb: str, at: datetime) -> tuple[Budget, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1)
    return new, _fact(new, verb, with_changes(data, before), at)


def _fact(budget: Budget, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(budget.organization, "budget", budget.id, budget.version, verb, data, at)


def _data(budget: Budget) -> dict[str, Any]:
    return {
        "scope": budget.scope,
        "target_id": id_text(budget.target_id),
        "target_label": budget.target_label,
        "window_kind": budget.window_kind,
        "rolling_seconds": budget.rolling_seconds,
        "unit": budget.unit,
        "measure": budget.measure,
        "amount_limit": budget.amount_limit,
        "overdraft": budget.overdraft,
        "mode": budget.mode,
        "time_zone": budget.time_zone,
        "thresholds": levels.stored(budget.thresholds),
        "arming": budget.arming,
        "created_at": time_text(budget.created_at),
        "archived_at": time_text(budget.archived_at),
    }


def definition_of(budget: Budget) -> BudgetDefinition:
    """Return the budget as the gate reads it."""
    return BudgetDefinition(
        id=budget.id,
        scope=budget.scope,
        target_id=budget.target_id,
        target_label=budget.target_label,
        window_kind=budget.window_kind,
        rolling_seconds=budget.rolling_seconds,
        unit=budget.unit,
        measure=budget.measure,
        amount_limit=budget.amount_limit,
        overdraft=budget.overdraft,
        mode=budget.mode,
        zone=ZoneInfo(budget.time_zone),
        thresholds=budget.thresholds,
        version=budget.version,
        arming=budget.arming,
    )

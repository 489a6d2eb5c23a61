"""Overrides: a budget raised for a while, for one run, until a time, or both (S42). Each ends; what does not end is a
change of the budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidPeriod, InvalidTransition, ProblemError
from common.ids import AnyId
from common.money import checked_units
from orgs.rules.facts import Fact, time_text, with_changes
from spend.rules import thresholds as levels
from spend.rules.budgetfacts import Budget

STATUSES: Final = ("active", "expired", "ended")


class LimitNotRaised(ProblemError):
    """An override raises a limit: what it names is not above the budget's own."""

    code = "limit_not_raised"
    status = 422


@dataclass(frozen=True, slots=True)
class Override:
    """An override's row: `extra` (in the budget's unit) is added to the limit.

    `target` is the id of the team, agent, workflow or connection, the user's label or the run's key that it is for;
    None: every target of the budget. `run_key` is the root run that it is for; None: every run.
    """

    id: AnyId
    organization: AnyId
    budget_id: AnyId
    target: str | None
    run_key: str | None
    extra: int
    reason: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    ended_by: str | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    version: int = 1

    def applies(self, target: str, root_run: str | None, now: datetime) -> bool:
        """Return whether it raises the limit for a call that the budget counts for this target, in this root run."""
        return (
            self.status_at(now) == "active"
            and self.target in (None, target)
            and self.run_key in (None, root_run)
        )

    def status_at(self, now: datetime) -> str:
        """Return active, expired (its time is over) or ended (by a person)."""
        if self.ended_at is not None:
            return "ended"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def data(self) -> dict[str, Any]:
        """Return the override as its events hold it."""
        return {
            "budget_id": str(self.budget_id),
            "target": self.target,
            "run_key": self.run_key,
            "extra": self.extra,
            "reason": self.reason,
            "created_by": self.created_by,
            "created_at": time_text(self.created_at),
            "expires_at": time_text(self.expires_at),
            "ended_by": self.ended_by,
            "ended_at": time_text(self.ended_at),
            "end_reason": self.end_reason,
        }


@dataclass(frozen=True, slots=True)
class OverrideTerms:
    """What an override is to be: `amount` is added to the limit, or `limit` is what it is raised to (texts in the
    budget's unit)."""

    reason: str
    amount: str | None = None
    limit: str | None = None
    target: str | None = None
    run: str | None = None
    until: datetime | None = None


def check_terms(terms: OverrideTerms) -> None:
    """Refuse terms that contradict each other. Raises InvalidField."""
    if (terms.amount is None) == (terms.limit is None):
        raise InvalidField("An override has either an amount or a limit.", pointer="/amount")
    if terms.run is None and terms.until is None:
        raise InvalidField(
            "An override ends: it names a run, a time until which it holds, or both. "
            "For ever is a change of the budget.",
            pointer="/until",
        )


def extra_of(terms: OverrideTerms, budget: Budget) -> int:
    """Return what is added to the budget's limit, in its unit.

    Raises InvalidAmount, LimitNotRaised and AmountOutOfRange.
    """
    if terms.amount is not None:
        extra = levels.parse_limit(terms.amount, unit=budget.unit, pointer="/amount", allow_zero=False)
    else:
        raised = levels.parse_limit(terms.limit, unit=budget.unit, pointer="/limit")
        extra = raised - budget.amount_limit
    if extra <= 0:
        raise LimitNotRaised(pointer="/limit")
    checked_units(budget.amount_limit + budget.overdraft + extra)
    return extra


def created(
    terms: OverrideTerms,
    budget: Budget,
    *,
    identifier: UUID,
    target: str | None,
    run_key: str | None,
    by: str,
    at: datetime,
) -> tuple[Override, Fact]:
    """Return a new override of a budget and the fact that makes it.

    Raises InvalidTransition for an archived budget, InvalidPeriod for an end that is not ahead, and what `extra_of`
    does.
    """
    if budget.archived_at is not None:
        raise InvalidTransition("The budget is archived.")
    if terms.until is not None and terms.until <= at:
        raise InvalidPeriod("An override ends in the future.", pointer="/until")
    override = Override(
        id=identifier,
        organization=budget.organization,
        budget_id=budget.id,
        target=target,
        run_key=run_key,
        extra=extra_of(terms, budget),
        reason=terms.reason,
        created_by=by,
        created_at=at,
        expires_at=terms.until,
    )
    return override, _fact(override, "created", override.data(), at)


def ended(override: Override, *, by: str, reason: str, at: datetime) -> tuple[Override, Fact]:
    """Return the override as a person ended it, and the fact of it. Raises InvalidTransition when it is over."""
    status = override.status_at(at)
    if status != "active":
        said = "was ended already" if status == "ended" else "ended by itself when its time was over"
        raise InvalidTransition(f"The override {said}.")
    new = replace(override, ended_by=by, ended_at=at, end_reason=reason, version=override.version + 1)
    return new, _fact(new, "ended", with_changes(new.data(), override.data()), at)


def extra_for(overrides: Iterable[Override], budget: Budget, counted: str, now: datetime) -> int:
    """Return what these overrides of a budget add to its limit for one of its counters, named by its target.

    A counter of one run is raised by that run's overrides, one of all runs only by those that are for every run.
    """
    target, root = counted, None
    if budget.scope == "run":
        root = counted
    elif budget.window_kind == "run":
        target, _, root = counted.partition("/")
        target = target.replace("%2F", "/").replace("%25", "%")
    return sum(override.extra for override in overrides if override.applies(target, root, now))


def _fact(override: Override, verb: str, data: dict[str, Any], at: datetime) -> Fact:
    return Fact(
        UUID(str(override.organization)),
        "budget_override",
        UUID(str(override.id)),
        override.version,
        verb,
        data,
        at,
    )

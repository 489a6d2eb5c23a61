"""Thresholds that a change of a budget puts at or below what is used: they fire with the change (S37, S42)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import msgspec

from events.store import Cursor, append
from orgs.operations.facts import Author
from spend.queries.budgets import ID_LENGTH, names_of, standing_counters
from spend.queries.gate_rules import load_rules
from spend.rules.budgetfacts import Budget, definition_of
from spend.rules.meters import SHADOW
from spend.rules.standing import fired_now


def fire_standing(cur: Cursor, budget: Budget, *, author: Author, now: datetime, currency: str) -> None:
    """This function will fire every threshold that spent + held has reached in the budget's current windows.

    What a reached level says is done as when a call crosses it: its target is paused, an approval asked for, an
    incident opened. What has fired under the budget's arming does not fire again; one that is off fires nothing.
    """
    definition = replace(definition_of(budget), id=str(budget.id))
    if budget.mode == "off" or not definition.levels:
        return
    counters = standing_counters(cur, budget, now)
    if not counters:
        return
    targets = [counter.target.removeprefix(SHADOW) for counter in counters]
    names = names_of(cur, budget.organization, scopes=(budget.scope,), targets=targets)
    events = fired_now(
        definition,
        counters,
        label_of=lambda target: _label(budget, target.removeprefix(SHADOW), names),
        organization=str(budget.organization),
        now=now,
        currency=currency,
        switches=load_rules(cur, budget.organization, ()).switches,
        actor=author.actor,
    )
    append(cur, [msgspec.structs.replace(event, idempotency_key=author.idempotency_key) for event in events])


def _label(budget: Budget, target: str, names: Mapping[str, str]) -> str | None:
    """The target's key as calls know it; where it is counted in each run by itself, without the run's."""
    if target[:ID_LENGTH] in names:
        return names[target[:ID_LENGTH]]
    if budget.window_kind == "run" and budget.scope != "run":
        target = target.partition("/")[0].replace("%2F", "/").replace("%25", "%")
    return target or None

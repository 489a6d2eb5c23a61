"""The life of a run policy: how requests state its rules, and the facts of making, changing and archiving it.

Whose runs it is for stays for ever; every rule and the mode may change at any time and count from the next decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common import fields
from common.errors import InvalidField, InvalidTransition, ProblemError, UnknownField, combined
from common.ids import AnyId
from common.strictjson import child_pointer
from orgs.rules.facts import Fact, time_text, with_changes
from spend.rules.runpolicies import LOOP_ACTIONS, Attempts, Loop, LoopLevel, RunPolicy, RunRules, stored

SCOPES: Final = ("organization", "team", "agent", "workflow", "run")
MODES: Final = ("off", "observe", "enforce")
RULES: Final = ("max_steps", "max_tool_calls", "max_seconds", "max_depth", "attempts", "loop")
BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    "max_steps": (1, 1_000_000),
    "max_tool_calls": (0, 1_000_000_000),
    "max_seconds": (1, 366 * 86_400),
    "max_depth": (0, 1_000),
}
MAX_ATTEMPTS: Final = 100
MAX_FIRST_MS: Final = 3_600_000
MAX_LONGEST_MS: Final = 86_400_000
WINDOW: Final = (2, 50)
"""The gate keeps the last 50 fingerprints of each run: its row holds them all."""
MAX_LEVELS: Final = 10
MAX_COOLDOWN_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a new run policy is to be; `target` is a key, an id or a run's key."""

    scope: str
    rules: RunRules
    target: str | None = None
    mode: str = "enforce"


def read_policy(values: Mapping[str, Any]) -> PolicyTerms:
    """Return the terms that a request states; scope, target and mode were checked before. Raises InvalidField and
    UnknownField, naming the place."""
    rules = read_rules({name: values.get(name) for name in RULES})
    return PolicyTerms(values["scope"], _some(rules), values.get("target"), values.get("mode", "enforce"))


def read_rules(stated: Mapping[str, Any], *, base: RunRules | None = None) -> RunRules:
    """Return the rules with what is stated in the place of `base`'s; null takes a rule away.

    Raises InvalidField and UnknownField, naming every wrong place.
    """
    errors: list[ProblemError] = []
    found: dict[str, Any] = {}
    for name in RULES:
        if name not in stated:
            continue
        try:
            found[name] = _rule(name, stated[name])
        except ProblemError as error:
            errors.append(error)
    if errors:
        raise combined(errors)
    return replace(base or RunRules(), **found)


def created(
    terms: PolicyTerms,
    *,
    identifier: UUID,
    organization: UUID,
    target_id: UUID | None,
    target_label: str | None,
    at: datetime,
) -> tuple[RunPolicy, Fact]:
    """Return a new policy and the fact that makes it."""
    policy = RunPolicy(
        id=identifier,
        organization=organization,
        scope=terms.scope,
        target_id=target_id,
        target_label=target_label,
        rules=terms.rules,
        mode=terms.mode,
        version=1,
        created_at=at,
    )
    return policy, _fact(policy, "created", _data(policy), at)


def changed(policy: RunPolicy, changes: Mapping[str, Any], *, at: datetime) -> tuple[RunPolicy, Fact | None]:
    """Return the policy with other rules or another mode, and the fact of it with old and new values (S42); no fact
    when nothing would be different. Each rule is replaced as a whole, null takes it away.

    Raises InvalidTransition for an archived one, InvalidField (also when no rule would be left) and UnknownField.
    """
    if policy.archived_at is not None:
        raise InvalidTransition("The run policy is archived.")
    rules = _some(read_rules(changes, base=policy.rules))
    return _next(policy, replace(policy, rules=rules, mode=changes.get("mode", policy.mode)), "changed", at)


def archived(policy: RunPolicy, *, at: datetime) -> tuple[RunPolicy, Fact | None]:
    """Return the policy as it no longer rules anything, and the fact of it; no fact when it is archived already."""
    if policy.archived_at is not None:
        return policy, None
    return _next(policy, replace(policy, archived_at=at), "archived", at)


def _some(rules: RunRules) -> RunRules:
    if rules == RunRules():
        raise InvalidField(f"A run policy has at least one of: {', '.join(RULES)}.", pointer="")
    return rules


def _rule(name: str, value: object) -> Any:
    if value is None:
        return None
    pointer = f"/{name}"
    if name == "attempts":
        return _attempts(value, pointer)
    if name == "loop":
        return _loop(value, pointer)
    low, high = BOUNDS[name]
    return fields.integer(value, minimum=low, maximum=high, pointer=pointer)


def _attempts(value: object, pointer: str) -> Attempts:
    """What is not stated is as in the house's default."""
    given, house = _members(value, ("max", "first_ms", "longest_ms"), pointer), Attempts()
    most = _number(given, "max", pointer, 1, MAX_ATTEMPTS, house.most)
    first = _span(given, "first_ms", pointer, 0, MAX_FIRST_MS, house.first)
    longest = _span(given, "longest_ms", pointer, 0, MAX_LONGEST_MS, max(house.longest, first))
    if longest < first:
        raise InvalidField(
            "The longest pause is not shorter than the first.", pointer=f"{pointer}/longest_ms"
        )
    return Attempts(most, first, longest)


def _loop(value: object, pointer: str) -> Loop:
    """What is not stated is as in the house's default."""
    given, house = _members(value, ("window", "levels"), pointer), Loop()
    window = _number(given, "window", pointer, *WINDOW, house.window)
    place = f"{pointer}/levels"
    stated = given.get("levels")
    levels = house.levels if stated is None else _levels(stated, place)
    for index, level in enumerate(levels):
        if level.repeats > window:
            raise InvalidField(
                f"A level has at most as many repeats as the window has calls, {window}.",
                pointer=place if stated is None else f"{place}/{index}/repeats",
            )
    return Loop(window, levels)


def _levels(value: object, pointer: str) -> tuple[LoopLevel, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_LEVELS:
        raise InvalidField(f"This is no list of 1 to {MAX_LEVELS} levels.", pointer=pointer)
    levels = tuple(_level(item, child_pointer(pointer, index)) for index, item in enumerate(value))
    for index in range(1, len(levels)):
        if levels[index].repeats <= levels[index - 1].repeats:
            raise InvalidField(
                "Levels are distinct and ascending by repeats.", pointer=f"{pointer}/{index}/repeats"
            )
    return levels


def _level(value: object, pointer: str) -> LoopLevel:
    given = _members(value, ("repeats", "action", "cooldown_ms"), pointer)
    repeats = _number(given, "repeats", pointer, 2, WINDOW[1], None)
    action = fields.choice(given.get("action"), options=LOOP_ACTIONS, pointer=f"{pointer}/action")
    if action == "cap":
        default = Loop().levels[-1].cooldown
        return LoopLevel(repeats, action, _span(given, "cooldown_ms", pointer, 1, MAX_COOLDOWN_MS, default))
    if given.get("cooldown_ms") is not None:
        raise InvalidField("Only the action cap has a cooldown.", pointer=f"{pointer}/cooldown_ms")
    return LoopLevel(repeats, action)


def _members(value: object, names: tuple[str, ...], pointer: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    for name in value:
        if name not in names:
            raise UnknownField(pointer=child_pointer(pointer, name))
    return value


def _number(
    given: Mapping[str, Any], name: str, pointer: str, low: int, high: int, default: int | None
) -> int:
    value = given.get(name)
    place = f"{pointer}/{name}"
    if value is None:
        if default is None:
            raise InvalidField("This field is required.", pointer=place)
        return default
    return fields.integer(value, minimum=low, maximum=high, pointer=place)


def _span(
    given: Mapping[str, Any], name: str, pointer: str, low: int, high: int, default: timedelta
) -> timedelta:
    milliseconds = _number(given, name, pointer, low, high, default // timedelta(milliseconds=1))
    return timedelta(milliseconds=milliseconds)


def _next(old: RunPolicy, new: RunPolicy, verb: str, at: datetime) -> tuple[RunPolicy, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1)
    return new, _fact(new, verb, with_changes(data, before), at)


def _fact(policy: RunPolicy, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(_uuid(policy.organization), "run_policy", _uuid(policy.id), policy.version, verb, data, at)


def _data(policy: RunPolicy) -> dict[str, Any]:
    return {
        "scope": policy.scope,
        "target_id": None if policy.target_id is None else str(policy.target_id),
        "target_label": policy.target_label,
        "rules": stored(policy.rules),
        "mode": policy.mode,
        "created_at": time_text(policy.created_at),
        "archived_at": time_text(policy.archived_at),
    }


def _uuid(identifier: AnyId) -> UUID:
    return identifier if isinstance(identifier, UUID) else UUID(identifier)

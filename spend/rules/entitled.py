"""What the gate obeys of a customer's entitlements: what it may call, how often, how many agents it has (S79).

Upper apps publish it; the gate knows neither plans nor contracts. What it does not know the name of is the customer's
own and never comes here; what has a value that makes no sense under its name is not obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from common.ids import AnyId
from spend.rules.budgets import SCOPE_RANK
from spend.rules.commands import Reserve
from spend.rules.denials import Binding, Denied, NotEntitled
from spend.rules.limits import RateLimit, limit_over_all
from spend.rules.stops import tools_of

Value = bool | int | str | tuple[str, ...] | None
LISTS: Final = ("allowed_models", "allowed_providers", "allowed_tools")
COUNTS: Final = ("max_agents", "max_open_reservations", "requests_per_minute")
AGENTS_ENABLED: Final = "agents_enabled"
ENTITLEMENT: Final = "entitlement"
"""The kind of a limit that is one."""
OBEYED: Final = frozenset((*LISTS, *COUNTS, AGENTS_ENABLED))
"""The features that the gate knows."""
WHAT_TO_DO: Final = "Choose a plan, or have a contract, that allows it; the next call after that passes."
_UNITS: Final = {"requests_per_minute": ("requests", "minute"), "max_open_reservations": ("concurrent", None)}
_MOST: Final = 10**12


@dataclass(frozen=True, slots=True)
class Entitled:
    """What is published of a customer: values by feature as `obeyed` reads them, and where each comes from.

    `line`: closed, open (up to `credit_limit` units), or None (as the organization has it), by `line_source`.
    `next_at`: when it has to be looked at again, because something begins or ends then.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    line: str | None = None
    credit_limit: int | None = None
    line_source: str | None = None
    next_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said at all."""
        return not self.values and self.line is None and self.next_at is None

    @property
    def judges_calls(self) -> bool:
        """Whether a call has to be looked at beside what counts it."""
        return any(not allows_all(self.values.get(name)) for name in (*LISTS, AGENTS_ENABLED))


def obeyed(feature: str, value: object) -> bool:
    """Whether the gate knows this feature and what its value means: lists, or true (all), false (none) and null (all);
    counts, null being without limit; agents_enabled true or false."""
    if feature in LISTS:
        return value is None or isinstance(value, (bool, tuple, list))
    if feature in COUNTS:
        return value is None or (type(value) is int and 0 <= value <= _MOST)
    return feature == AGENTS_ENABLED and isinstance(value, bool)


def allows_all(value: Value) -> bool:
    """Whether a list, or a switch, stops nothing."""
    return value is None or value is True


def refusals(entitled: Entitled, command: Reserve) -> list[tuple[type[Denied], Binding]]:
    """Return why a call is none that the customer is entitled to: nothing, its provider, its model or its tools."""
    if entitled.values.get(AGENTS_ENABLED) is False:
        return [_refusal(entitled, AGENTS_ENABLED)]
    action = command.action
    asked = {
        "allowed_models": [action.model] if action.model is not None else [],
        "allowed_providers": [action.provider] if action.provider is not None else [],
        "allowed_tools": sorted(tools_of(command)),
    }
    return [
        _refusal(entitled, feature, asked=extra[0])
        for feature, names in asked.items()
        if (extra := [name for name in names if not _allows(entitled.values.get(feature), name)])
    ]


def _allows(value: Value, name: str) -> bool:
    return allows_all(value) or (isinstance(value, tuple) and name in value)


def _refusal(entitled: Entitled, feature: str, *, asked: str | None = None) -> tuple[type[Denied], Binding]:
    value = entitled.values[feature]
    figures: dict[str, Any] = {
        "scope": "organization",
        "target": None,
        "feature": feature,
        "asked": asked,
        "allowed": list(value) if isinstance(value, tuple) else [] if feature in LISTS else None,
        "source": entitled.sources.get(feature),
        "resolution": WHAT_TO_DO,
    }
    rank = SCOPE_RANK["organization"]
    return NotEntitled, Binding(scope="organization", rank=rank, figures=figures, requested=0)


def limits_of(entitled: Entitled, organization: AnyId, zone: str, since: datetime) -> list[RateLimit]:
    """Return the limits over the whole organization that its entitlements are."""
    return [
        _limit(organization, feature, count, zone, since)
        for feature in _UNITS
        if type(count := entitled.values.get(feature)) is int
    ]


def feature_of_unit(unit: str) -> str:
    """Return which feature a limit that counts this unit is."""
    return next(feature for feature, (counted, _) in _UNITS.items() if counted == unit)


def _limit(organization: AnyId, feature: str, count: int, zone: str, since: datetime) -> RateLimit:
    unit, window = _UNITS[feature]
    return limit_over_all(
        organization,
        uuid5(NAMESPACE_OID, f"entitlement:{organization}:{feature}"),
        unit=unit,
        most=count,
        window=window,
        zone=zone,
        since=since,
    )

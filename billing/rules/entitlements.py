"""What a customer is entitled to, and why: one resolver for gate, API and pages (S79). Pure.

In this order: the plans of live subscriptions give features; of several the most generous counts. A contract's override
replaces what plans give. Dunning and credit then say whether any of it may be used now; they change no value, so that
whoever pays finds everything as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from billing.rules.plans import Feature

DUNNING: Final = ("none", "past_due", "throttled", "credit_only", "suspended")
LIVE: Final = ("trialing", "active", "past_due")
"""The statuses of a subscription whose plan's features hold."""


@dataclass(frozen=True, slots=True)
class PlanFeatures:
    """What one subscription's plan gives. `source` names it, such as plan:advanced@2; the oldest come first."""

    source: str
    features: Mapping[str, Feature]
    status: str = "active"


@dataclass(frozen=True, slots=True)
class Override:
    """What a contract says of one feature; it counts whatever plans give."""

    feature: str
    value: Feature
    source: str


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left to spend, in units. `stops`: nothing can be spent without it (funding credit_only)."""

    available: int
    stops: bool


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The value of one feature and where it comes from. A limit of None is without limit."""

    feature: str
    value: Feature
    source: str


@dataclass(frozen=True, slots=True)
class Entitlements:
    """All features by name. `access` is full, read_only (nothing new is made or spent) or none; `can_spend`: whether
    the gate may fund a call; `reasons` say what took either away, or makes work slower: dunning:<state>, credit,
    no_plan."""

    features: Mapping[str, Entitlement]
    access: str
    can_spend: bool
    reasons: tuple[str, ...]

    def value(self, feature: str) -> Feature:
        """Return the value of a feature now: nothing is entitled to anything without access."""
        found = self.features.get(feature)
        return False if found is None or self.access == "none" else found.value

    def allows(self, feature: str, wanted: int = 1) -> bool:
        """Return whether so many (in all) of a feature are allowed; a feature that is not there is none."""
        value = self.value(feature)
        if value is None or isinstance(value, bool):
            return value is not False
        return wanted <= value if isinstance(value, int) else True


def resolve(
    plans: Iterable[PlanFeatures],
    *,
    overrides: Iterable[Override] = (),
    dunning: str = "none",
    credit: Credit | None = None,
) -> Entitlements:
    """Return what a customer is entitled to.

    `dunning`: none and past_due take nothing away, throttled makes work slower, credit_only leaves reading and what
    credit pays for, suspended nothing. `credit` None: nothing is known of it, or nothing depends on it. Raises
    ValueError for a dunning state that there is not.
    """
    if dunning not in DUNNING:
        raise ValueError("a dunning state is one of DUNNING")
    live = [plan for plan in plans if plan.status in LIVE]
    found: dict[str, Entitlement] = {}
    for plan in live:
        for name, value in plan.features.items():
            known = found.get(name)
            if known is None or _is_more(value, known.value):
                found[name] = Entitlement(name, value, plan.source)
    given = {each.feature: Entitlement(each.feature, each.value, each.source) for each in overrides}
    features = dict(sorted((found | given).items()))
    access = {"credit_only": "read_only", "suspended": "none"}.get(dunning, "full")
    stops = credit is not None and (credit.stops or dunning == "credit_only")
    is_empty = credit is not None and stops and credit.available <= 0
    reasons = [f"dunning:{dunning}"] if access != "full" or dunning == "throttled" else []
    reasons += ["credit"] if is_empty else []
    reasons += [] if live or given else ["no_plan"]
    can_spend = access == "full" or (dunning == "credit_only" and credit is not None)
    return Entitlements(features, access, can_spend and not is_empty, tuple(reasons))


def _is_more(value: Feature, than: Feature) -> bool:
    """Whether one plan's value is more generous than another's: no limit before a number before true before false, and
    of texts the first stays."""
    return _rank(value) > _rank(than)


def _rank(value: Feature) -> tuple[int, int]:
    if value is None:
        return (3, 0)
    if isinstance(value, bool):
        return (1, 0) if value else (0, 0)
    return (2, value) if isinstance(value, int) else (1, 0)

"""What a customer is entitled to, and why: one resolver for gate, API and pages (S79). Pure.

In this order: the plans of live subscriptions give features; of several the most generous counts. Of a paused one that
stays which the gate obeys, where no live plan names it: a pause gives nothing and lifts no limit. A contract's override
replaces what plans give. Dunning and credit then say whether any of it may be used now; they change no value, so that
whoever pays finds everything as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from billing.rules.plans import CREDIT_ONLY, CREDIT_THEN_INVOICE, Feature
from spend.rules.entitled import obeyed

DUNNING: Final = ("none", "past_due", "throttled", "credit_only", "suspended")
LIVE: Final = ("trialing", "active", "past_due")
"""The statuses of a subscription whose plan's features hold."""
PAUSED: Final = "paused"
"""That of one whose plan goes on to restrict, and gives nothing."""


@dataclass(frozen=True, slots=True)
class PlanFeatures:
    """What one subscription's plan gives. `source` names it, such as plan:advanced@2; the oldest come first. `funding`:
    one of billing.rules.plans.FUNDINGS, with the plan's credit limit in the customer's currency, in units."""

    source: str
    features: Mapping[str, Feature]
    status: str = "active"
    funding: str = "organization"
    credit_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """What a contract says of one feature; it counts whatever plans give."""

    feature: str
    value: Feature
    source: str


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left to spend, in units. `stops`: nothing can be spent without it (the gate has no line to draw on)."""

    available: int
    stops: bool


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The value of one feature and where it comes from. A limit of None is without limit."""

    feature: str
    value: Feature
    source: str


@dataclass(frozen=True, slots=True)
class Funding:
    """What plans say of use that no credit covers: the line is closed, or open up to a limit (units); None: they say
    nothing, and it is as the organization has it."""

    line: str | None = None
    credit_limit: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Entitlements:
    """All features by name. `access` is full, read_only (nothing new is made or spent) or none; `can_spend`: whether
    the gate may fund a call; `reasons` say what took either away, or makes work slower: dunning:<state>, credit,
    no_plan."""

    features: Mapping[str, Entitlement]
    access: str
    can_spend: bool
    reasons: tuple[str, ...]
    funding: Funding = Funding()

    def value(self, feature: str) -> Feature:
        """Return the value of a feature now: nothing is entitled to anything without access."""
        found = self.features.get(feature)
        return False if found is None or self.access == "none" else found.value

    def allows(self, feature: str, wanted: int = 1) -> bool:
        """Return whether so many (in all) of a feature are allowed; a feature that is not there is none."""
        value = self.value(feature)
        if value is None or isinstance(value, bool):
            return value is not False
        if isinstance(value, tuple):
            return wanted <= len(value)
        return wanted <= value if isinstance(value, int) else True


def resolve(
    plans: Iterable[PlanFeatures],
    *,
    overrides: Iterable[Override] = (),
    dunning: str = "none",
    credit: Credit | None = None,
    is_postpaid: bool = False,
) -> Entitlements:
    """Return what a customer is entitled to.

    `dunning`: none and past_due take nothing away, throttled makes work slower, credit_only leaves reading and what
    credit pays for, suspended nothing. `credit` None: nothing is known of it, or nothing depends on it. `is_postpaid`:
    the organization has a line of its own. Raises ValueError for a dunning state that there is not.
    """
    if dunning not in DUNNING:
        raise ValueError("a dunning state is one of DUNNING")
    known = list(plans)
    live = [plan for plan in known if plan.status in LIVE]
    paused = _features(plan for plan in known if plan.status == PAUSED)
    found = {name: each for name, each in paused.items() if obeyed(name, each.value)} | _features(live)
    given = {each.feature: Entitlement(each.feature, each.value, each.source) for each in overrides}
    features = dict(sorted((found | given).items()))
    access = {"credit_only": "read_only", "suspended": "none"}.get(dunning, "full")
    stops = credit is not None and (credit.stops or dunning == "credit_only")
    is_empty = credit is not None and stops and credit.available <= 0
    reasons = [f"dunning:{dunning}"] if access != "full" or dunning == "throttled" else []
    reasons += ["credit"] if is_empty else []
    reasons += [] if live or given else ["no_plan"]
    can_spend = access == "full" or (dunning == "credit_only" and credit is not None)
    funding = funding_of(live, is_postpaid=is_postpaid)
    return Entitlements(features, access, can_spend and not is_empty, tuple(reasons), funding)


def funding_of(plans: Iterable[PlanFeatures], *, is_postpaid: bool) -> Funding:
    """Return what the plans of live subscriptions make of the line.

    One that says credit_then_invoice goes before one that says credit_only, and that before those that say nothing: a
    plan that is bought in addition must not stop what another one lets go on. The limit is the organization's own where
    it has a line, which somebody decided on for it alone; else the highest of the plans, never their sum.
    """
    known = list(plans)
    opening = [each for each in known if each.funding == CREDIT_THEN_INVOICE]
    if opening and is_postpaid:
        return Funding()
    limited = [(each.credit_limit, each) for each in opening if each.credit_limit is not None]
    if limited:
        most, best = max(limited, key=lambda each: each[0])
        return Funding("open", most, best.source)
    closing = next((each for each in known if each.funding == CREDIT_ONLY), None)
    return Funding() if closing is None else Funding("closed", None, closing.source)


def _features(plans: Iterable[PlanFeatures]) -> dict[str, Entitlement]:
    found: dict[str, Entitlement] = {}
    for plan in plans:
        for name, value in plan.features.items():
            found[name] = _more(found.get(name), Entitlement(name, value, plan.source))
    return found


def _more(known: Entitlement | None, new: Entitlement) -> Entitlement:
    """What is more generous of two plans: no limit before a number before true before false, of lists everything that
    is on either, and of texts the first stays."""
    if known is None:
        return new
    if isinstance(known.value, tuple) and isinstance(new.value, tuple):
        both = tuple(sorted({*known.value, *new.value}))
        if both in (known.value, new.value):
            return known if both == known.value else new
        return Entitlement(new.feature, both, f"{known.source}, {new.source}")
    return new if _rank(new.value) > _rank(known.value) else known


def _rank(value: Feature) -> tuple[int, int]:
    if value is None:
        return (3, 0)
    if isinstance(value, bool):
        return (1, 0) if value else (0, 0)
    if isinstance(value, tuple):
        return (0, 1)
    return (2, value) if isinstance(value, int) else (1, 0)

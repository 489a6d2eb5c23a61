"""What the gate obeys beside budgets and prices, read into its cache: switches, limits, run policies, overrides."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from events.store import Cursor
from orgs import PLATFORM_ID
from spend.queries.entitled import load_entitled
from spend.queries.overrides import load_overrides
from spend.queries.ratelimits import load_limits, load_named
from spend.queries.runpolicies import load_policies
from spend.queries.standings import load_standing
from spend.rules.budgets import BudgetDefinition, passive
from spend.rules.entitled import ENTITLEMENT, Entitled
from spend.rules.limits import RateLimit
from spend.rules.meters import Meter, ceilings_of, meter_of_limit, strikes_of
from spend.rules.overrides import Override
from spend.rules.runpolicies import RunPolicy
from spend.rules.standings import Standing
from spend.rules.stops import place_of
from spend.rules.switches import Switch

_SWITCHES: Final = """
SELECT id, organization, scope, target_id, target_label, kind, mode, cause, incident_id, reason, set_by, set_at
FROM switches WHERE organization = ANY(%s) AND lifted_at IS NULL
ORDER BY array_position(ARRAY['pause', 'kill', 'stop'], kind), id
"""


@dataclass(slots=True)
class LimitRule:
    """A rate limit with its meter, and what counts its denials where it escalates."""

    limit: RateLimit
    meter: Meter
    strikes: Meter | None


@dataclass(slots=True)
class PolicyRule:
    """A run policy with the ceilings of it that are counted."""

    policy: RunPolicy
    ceilings: list[Meter]


@dataclass(slots=True)
class Rules:
    """What an organization has beside budgets: switches that are set (the platform's, too) by place, rate limits with
    their meters, run policies, overrides by budget; budgets in mode observe by scope, each beside its
    definition as one that only counts; and all budgets by id. `rates` are the meters that thresholds slow down by their
    limit's id, also of limits that judge nothing any more: what is slower must not become free by that.

    `standing`: that of a customer in arrears; one that is throttled has a limit more. `entitled`: what stops calls of
    a customer beside limits. `by_key`: whether a limit counts API keys; `observes_runs`: whether a run policy is in
    mode observe; `is_empty`: there is nothing that places would have to look at.
    """

    switches: dict[tuple[str, str], Switch] = field(default_factory=dict)
    standing: Standing | None = None
    entitled: Entitled | None = None
    limits: list[LimitRule] = field(default_factory=list)
    policies: list[PolicyRule] = field(default_factory=list)
    overrides: dict[str, list[Override]] = field(default_factory=dict)
    observed: dict[str, list[tuple[BudgetDefinition, BudgetDefinition]]] = field(default_factory=dict)
    by_id: dict[str, BudgetDefinition] = field(default_factory=dict)
    rates: dict[str, Meter] = field(default_factory=dict)
    by_key: bool = False
    observes_runs: bool = False
    is_empty: bool = True


def load_rules(cur: Cursor, organization: UUID, budgets: Iterable[BudgetDefinition]) -> Rules:
    """Return what the organization has beside budgets in force."""
    rules = Rules()
    for budget in budgets:
        rules.by_id[str(budget.id)] = budget
        if budget.mode == "observe":
            rules.observed.setdefault(budget.scope, []).append((budget, passive(budget)))
    for limit in load_limits(cur, organization):
        meter = meter_of_limit(limit)
        rules.limits.append(LimitRule(limit, meter, strikes_of(meter)))
        rules.by_key = rules.by_key or limit.scope == "key" or limit.per == "key"
    rules.standing, throttle = load_standing(cur, organization)
    if throttle is not None:
        rules.limits.append(LimitRule(throttle, meter_of_limit(throttle, kind="dunning"), None))
    entitled, limits = load_entitled(cur, organization)
    rules.entitled = entitled if entitled is not None and entitled.judges_calls else None
    rules.limits += [LimitRule(one, meter_of_limit(one, kind=ENTITLEMENT), None) for one in limits]
    rules.rates = _rates(cur, organization, budgets, rules.limits)
    rules.policies = [PolicyRule(policy, ceilings_of(policy)) for policy in load_policies(cur, organization)]
    rules.observes_runs = any(rule.policy.mode == "observe" for rule in rules.policies)
    for override in load_overrides(cur, organization):
        rules.overrides.setdefault(str(override.budget_id), []).append(override)
    rules.switches = {place_of(switch): switch for switch in _switches(cur, organization)}
    slowing = any(_slows(budget) for budget in budgets)
    rules.is_empty = not (rules.limits or rules.policies or rules.overrides or rules.observed or slowing)
    return rules


def _rates(
    cur: Cursor, organization: UUID, budgets: Iterable[BudgetDefinition], limits: Iterable[LimitRule]
) -> dict[str, Meter]:
    known = {str(rule.limit.id): rule.meter for rule in limits}
    named = {t.rate_limit for budget in budgets for t in budget.thresholds if t.rate_limit is not None}
    if missing := named - known.keys():
        known |= {str(limit.id): meter_of_limit(limit) for limit in load_named(cur, organization, missing)}
    return known


def _slows(budget: BudgetDefinition) -> bool:
    return any(t.action == "throttle" or t.caps is not None for t in budget.thresholds)


def _switches(cur: Cursor, organization: UUID) -> list[Switch]:
    cur.execute(_SWITCHES, ([organization, PLATFORM_ID],))
    found = [_switch(row) for row in cur.fetchall()]
    return [one for one in found if one.scope == "platform" or one.organization == str(organization)]


def _switch(row: tuple[Any, ...]) -> Switch:
    ids = [None if row[place] is None else str(row[place]) for place in (0, 1, 3, 8)]
    values: Any = (ids[0], ids[1], row[2], ids[2], *row[4:8], ids[3], *row[9:])
    return Switch(*values)


__all__ = ["LimitRule", "PolicyRule", "Rules", "load_rules"]

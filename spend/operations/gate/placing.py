"""Where a call is counted: the budgets, meters, shadow counters and run policies that apply to its subjects."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from common.localtime import boundary_instant
from spend.queries.gate_config import GateConfig
from spend.queries.gate_rules import LimitRule, PolicyRule, Rules
from spend.rules.budgets import BudgetDefinition
from spend.rules.limits import RateLimit
from spend.rules.meters import (
    SHADOW,
    STRIKES,
    THRESHOLD,
    Meter,
    meter_of_threshold,
    meter_start,
    steps_of_threshold,
)
from spend.rules.overrides import Override
from spend.rules.plan import LayerPlace, Places, Valid, Who
from spend.rules.windows import ALWAYS, Window, bucket_seconds, first_bucket_at, window_at

Target = tuple[str, str, str | None, str | None]
"""Scope, counter's target, id and name."""
DAY = timedelta(days=1)


def places_of(config: GateConfig, who: Who, key: str | None, at: datetime) -> Places:
    """Return everything that counts a call made at this moment, and how long that is the same."""
    targets, rules = list(targets_of(who)), config.rules
    budgets = list(_budget_places(config.budgets, rules, who, targets, at))
    found = Places((datetime.min.replace(tzinfo=at.tzinfo), None), budgets)
    found.is_plain = not any(place.budget.has_stops for place in budgets)
    if not rules.is_empty:
        _add_rules(found, config, who, [*targets, ("key", key or "", key, None)], at)
    for place in found.all():
        found.valid = both(found.valid, _validity(place))
    for limit in rules.limits:
        found.valid = both(found.valid, _active_hours(limit.limit, at)[1])
    for overrides in rules.overrides.values():
        for override in overrides:
            if override.expires_at is not None and override.expires_at > at:
                found.valid = both(found.valid, (found.valid[0], override.expires_at))
    return found


def _budget_places(
    by_scope: dict[str, list[BudgetDefinition]], rules: Rules, who: Who, targets: Iterable[Target], at: datetime,
    prefix: str = "",
) -> Iterator[LayerPlace]:  # fmt: skip
    for scope, target, target_id, label in targets:
        for budget in by_scope.get(scope, ()):
            if not _applies(budget, target, target_id):
                continue
            place = target
            if budget.window_kind == "run" and scope != "run":
                if who.run is None:
                    continue
                place = f"{_escaped(target)}/{who.run.root_key}"  # what it spends in one run, that of its whole tree
            extra = _extra(rules.overrides.get(str(budget.id), ()), target, who, at) if rules.overrides else 0
            yield _place(budget, prefix + place, label, at, extra)


def _extra(overrides: Iterable[Override], target: str, who: Who, at: datetime) -> int:
    root = who.run.root_key if who.run is not None else None
    return sum(override.extra for override in overrides if override.applies(target, root, at))


def _add_rules(found: Places, config: GateConfig, who: Who, targets: list[Target], at: datetime) -> None:
    rules = config.rules
    shadow = {scope: [one for one, _ in pairs] for scope, pairs in rules.observed.items()}
    passive = {scope: [one for _, one in pairs] for scope, pairs in rules.observed.items()}
    found.passive = list(_budget_places(passive, rules, who, targets, at))
    found.shadow = list(_budget_places(shadow, rules, who, targets, at, SHADOW))
    found.meters += _threshold_places(found.budgets, rules.rates, at)
    found.shadow += _threshold_places(list(found.shadow), rules.rates, at)
    for rule in rules.limits:
        place = _limit_place(rule, who, targets, at)
        if place is not None:
            (found.shadow if rule.limit.mode == "observe" else found.meters).append(place)
    if who.run is not None:
        for policy in rules.policies:
            if _policy_applies(policy, who, targets):
                found.policies.append(policy.policy)
                _add_ceilings(found, policy, who.run.root_key)
    if found.meters or found.passive or found.shadow or found.policies:
        found.is_plain = False


def _add_ceilings(found: Places, rule: PolicyRule, root: str) -> None:
    observed = rule.policy.mode == "observe"
    for ceiling in rule.ceilings:
        # Two ceilings of a policy are two counters: what they count stands in the target.
        target = f"{ceiling.letter}/{root}"
        place = LayerPlace(ceiling, SHADOW + target if observed else target, ALWAYS, root)
        (found.shadow if observed else found.meters).append(place)


def _policy_applies(rule: PolicyRule, who: Who, targets: Iterable[Target]) -> bool:
    policy = rule.policy
    for scope, target, target_id, _ in targets:
        if scope != policy.scope:
            continue
        if policy.target_id is not None:
            return str(policy.target_id) == target_id
        return policy.target_label is None or policy.target_label == target
    return False


def _threshold_places(
    budgets: Iterable[LayerPlace], limits: dict[str, Meter], at: datetime
) -> Iterator[LayerPlace]:
    for place in budgets:
        budget: BudgetDefinition = place.budget
        for rank, (level, threshold) in enumerate(budget.levels, 1):
            slower = meter_of_threshold(budget, threshold, limits)
            left = steps_of_threshold(budget, threshold)
            for letter, meter in (("r", slower), ("s", left)):
                if meter is None:
                    continue
                prefix = SHADOW if place.target.startswith(SHADOW) else ""
                # What was counted under other thresholds, or for another limit, says nothing of these.
                name = f"{THRESHOLD}{rank}{letter}{budget.arming}:{place.target.removeprefix(SHADOW)}"
                yield _threshold_place(meter, prefix + name, place, level, at)


def _threshold_place(meter: Meter, target: str, place: LayerPlace, level: int, at: datetime) -> LayerPlace:
    if meter.burst:
        return LayerPlace(meter, target, Window(meter_start(meter), None), place.label, when=(place, level))
    seconds = meter.rolling_seconds
    window = window_at(meter.window_kind, at, meter.zone, rolling_seconds=seconds)
    first = None if seconds is None else first_bucket_at(at, seconds)
    return LayerPlace(meter, target, window, place.label, first, when=(place, level))


def _limit_place(rule: LimitRule, who: Who, targets: Iterable[Target], at: datetime) -> LayerPlace | None:
    limit = rule.limit
    if not _active_hours(limit, at)[0]:
        return None
    for scope, target, target_id, label in targets:
        if scope != limit.scope or (scope == "key" and target_id is None):
            continue
        if limit.target_id is not None and str(limit.target_id) != target_id:
            return None
        if limit.target_label is not None and limit.target_label != target:
            return None
        if limit.per is not None:
            caller = next((name for of, name, _, _ in targets if of == limit.per and name), None)
            if caller is None:
                return None
            target = f"{_escaped(target)}/{caller}"
        return _metered(rule, target, label, at)
    return None


def _metered(rule: LimitRule, target: str, label: str | None, at: datetime) -> LayerPlace:
    meter, strikes = rule.meter, None
    prefix = SHADOW if meter.mode == "observe" else ""
    if rule.strikes is not None:
        seconds = rule.strikes.rolling_seconds or 1
        bucket = window_at("rolling", at, meter.zone, rolling_seconds=seconds)
        strikes = LayerPlace(
            rule.strikes, f"{prefix}{STRIKES}{target}", bucket, label, first_bucket_at(at, seconds)
        )
    # An arrival time says nothing at another rate: a limit that is raised must not wait for what the old one let pass.
    window = Window(meter_start(meter), None) if meter.burst else window_at(meter.window_kind, at, meter.zone)
    name = prefix + target
    return LayerPlace(meter, name, window, label, strikes=strikes)


def _active_hours(limit: RateLimit, at: datetime) -> tuple[bool, Valid]:
    """Whether a limit holds at this moment, and as long as that is so: hours by the clock on the wall."""
    always: Valid = (datetime.min.replace(tzinfo=at.tzinfo), None)
    if limit.active_from is None or limit.active_until is None:
        return True, always
    zone = ZoneInfo(limit.time_zone)
    today = at.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    edges: list[tuple[datetime, datetime, bool]] = []
    for days in (-1, 0, 1):
        for text, begins in ((limit.active_from, True), (limit.active_until, False)):
            hour, _, minute = text.partition(":")
            local = today + DAY * days + timedelta(hours=int(hour), minutes=int(minute))
            edges.append((boundary_instant(local, zone=zone.key), local, begins))
    # Where the clocks skip both ends they are one instant: the order is that of the wall.
    edges.sort()
    before = [edge for edge in edges if edge[0] <= at]
    after = [edge for edge in edges if edge[0] > at]
    return before[-1][2], (before[-1][0], after[0][0])


def both(one: Valid, other: Valid) -> Valid:
    """Return when both hold."""
    ends = [end for end in (one[1], other[1]) if end is not None]
    return max(one[0], other[0]), min(ends) if ends else None


def _validity(place: LayerPlace) -> Valid:
    """When a place is the same: its window, and of a rolling budget as long as the same buckets count."""
    window: Valid = (place.window.start, place.window.end)
    if place.first_bucket is None:
        return window
    rolling = place.budget.rolling_seconds or 1
    begins = place.first_bucket + timedelta(seconds=rolling)
    return both(window, (begins, begins + timedelta(seconds=bucket_seconds(rolling))))


def _escaped(target: str) -> str:
    """A user's label before the slash that ends it: "a" in run "b/c" is not "a/b" in run "c"."""
    return target.replace("%", "%25").replace("/", "%2F")


def _applies(budget: BudgetDefinition, target: str, target_id: str | None) -> bool:
    if budget.target_id is not None:
        return budget.target_id == target_id
    return budget.target_label is None or budget.target_label == target


def targets_of(who: Who) -> Iterator[Target]:
    """Yield scope, counter's target, id and name of everything that the call is counted for, narrow to wide."""
    route = who.route
    if who.run is not None:
        yield "run", who.run.root_key, None, who.run.root_key
    if who.user is not None:
        yield "user", who.user, None, who.user
    yield "agent", route.agent_id, route.agent_id, route.agent_key
    if route.workflow_id is not None:
        yield "workflow", route.workflow_id, route.workflow_id, route.workflow_key
    if route.connection_id is not None:
        yield "connection", route.connection_id, route.connection_id, route.connection_key
    if route.team_id is not None:
        yield "team", route.team_id, route.team_id, route.team_key
    yield "organization", "", None, None


def _place(budget: BudgetDefinition, target: str, label: str | None, at: datetime, extra: int) -> LayerPlace:
    window = window_at(budget.window_kind, at, budget.zone, rolling_seconds=budget.rolling_seconds)
    first = first_bucket_at(at, budget.rolling_seconds or 1) if budget.window_kind == "rolling" else None
    return LayerPlace(budget, target, window, label, first, extra=extra)

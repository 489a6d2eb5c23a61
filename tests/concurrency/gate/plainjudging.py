"""What must be said to a call, in plain arithmetic: every rule of one organization asked at one moment, in the order in
which the API promises to tell. No code of the product.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.concurrency.gate.plaincalls import ORDER, Call, Failure, Figures, Subject, text, time_text
from tests.concurrency.gate.plainrules import (
    Budget,
    Counters,
    Level,
    Limit,
    Meter,
    Past,
    Policy,
    Run,
    meters_of_levels,
)  # fmt: skip
from tests.concurrency.gate.plainruns import Found, judge_run

CREDIT = 99
CURRENCY = "USD"
CLASSES = {
    "paused": 0, "blocked": 0, "loop_detected": 0, "approval_required": 0, "not_permitted": 0, "attempts_exceeded": 0,
    "rate_limited": 1, "backoff_required": 1, "budget_busy": 3,
}  # fmt: skip
RANKS = {scope: rank for rank, scope in enumerate(ORDER)} | {"credit": CREDIT, "key": -1}
SWITCH_RANKS = {scope: rank for rank, scope in enumerate(ORDER)}


@dataclass
class Judged:
    """Everything that a decision says of a call."""

    failing: list[Failure]
    layers: list[tuple[Budget, str]]
    meters: list[Meter]
    caps: list[Level]
    run: Found


@dataclass
class Standing:
    """Everything that its calls are judged by. `names` are those of agents, teams and workflows by id."""

    names: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    rates: dict[str, Limit] = field(default_factory=dict)  # archived ones still say how slow a throttle is
    policies: dict[str, Policy] = field(default_factory=dict)
    switches: dict[tuple[str, str], tuple[str, dict[str, Any]]] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    runs: dict[str, Run] = field(default_factory=dict)
    pasts: dict[str, Past] = field(default_factory=dict)
    run_keys: dict[str, str] = field(default_factory=dict)
    line: int | None = None
    credit: int = 0
    debt: int = 0
    held: int = 0
    owed: int = 0

    @property
    def funds(self) -> tuple[int, int]:
        """What could be held now, and what could be without the holds."""
        if self.line is not None:
            return max(0, self.line - self.owed - self.held), max(0, self.line - self.owed)
        return max(0, self.credit - self.held - self.debt), max(0, self.credit - self.debt)

    def run_of(self, call: Call) -> Run | None:
        """The call's run, also one that does not exist yet."""
        key = call.subject.get("run")
        if key is None:
            return None
        if key in self.runs:
            return self.runs[key]
        if call.parent is None or call.parent == key:
            return Run(key, key)
        above = self.runs.get(call.parent) or Run(call.parent, call.parent)
        return Run(key, above.root, above.key, above.depth + 1, above.began)

    def past(self, run: Run | None) -> Past:
        """What a run did."""
        return Past() if run is None else self.pasts.setdefault(run.key, Past())

    def counted_for(self, call: Call) -> tuple[Subject, Subject]:
        """Whom a call counts for, by id, and the names that are shown; a run counts for its root."""
        run = self.run_of(call)
        subject = {**call.subject, "run": None if run is None else run.root, "key": self.keys.get(call.key)}
        labels = {scope: self.names.get(name, name) for scope, name in subject.items() if name is not None}
        return subject, {**labels, "key": None}

    def layers(self, subject: Subject) -> list[tuple[Budget, str]]:
        """Every budget that counts a call, narrow to wide, the older first."""
        found = [(budget, budget.target_of(subject)) for budget in self.budgets.values()]
        counting = [(budget, target) for budget, target in found if target is not None]
        return sorted(counting, key=lambda layer: (RANKS[layer[0].scope], layer[0].id))

    def placed(self, call: Call) -> Call:
        """The call as its run knows it: whether it repeats a step."""
        past = self.pasts.get(call.subject.get("run") or "") or Past()
        return replace(call, is_retry=(call.attempt or 1) > 1 and call.step in past.tried)

    def judge(self, call: Call, at: datetime) -> Judged:
        """What every rule says of a call at this moment."""
        call = self.placed(call)
        subject, labels = self.counted_for(call)
        layers, run = self.layers(subject), self.run_of(call)
        failing = self._stopped(call, run)
        failing += self._awaiting(layers, labels, at)
        caps = [(budget, one) for budget, one in self._reached(layers, at) if one.action == "cap"]
        failing += _forbidden(caps, call, labels)
        policies = [one for _, one in sorted(self.policies.items()) if run and one.applies(subject)]
        found = judge_run(run, self.past(run), call, policies, at)
        failing += found.failing
        meters = [
            meter
            for meter in self._meters(layers, subject, labels, policies, run, at)
            if call.asks(meter.counts)
        ]
        failing += [no for meter in meters if (no := meter.refusal(self.counters, call, at)) is not None]
        if all(CLASSES.get(code, 2) for code, *_ in failing):
            failing += [*self._exhausted(layers, labels, call, at), *self._unfunded(call)]
        return Judged(failing, layers, meters, [one for _, one in caps], found)

    def _stopped(self, call: Call, run: Run | None) -> list[Failure]:
        places: list[tuple[str, str, str | None]] = []
        key = run.key if run is not None else None
        while key is not None:
            places.append(("run", key, key))
            known = self.runs.get(key) or (run if run and run.key == key else None)
            key = known.parent if known is not None else None
        for scope in ("user", "agent", "workflow", "connection", "team"):
            name = call.subject.get(scope)
            if name is not None:
                places.append((scope, name, self.names.get(name, name)))
        places += [("key", self.keys.get(call.key, ""), None), ("organization", "", None)]
        found = []
        for scope, target, label in places:
            if (scope, target) in self.switches:
                name, data = self.switches[scope, target]
                loop = (data["kind"], data["cause"]) == ("stop", "loop")
                code = "loop_detected" if loop else {"pause": "paused"}.get(data["kind"], "blocked")
                shown = {
                    "rule": name,
                    "reason": data["reason"],
                    "since": data["set_at"],
                    "incident": data["incident_id"],
                }
                found.append((code, scope, {"scope": scope, "target": label, **shown}, None))
        return found

    def _reached(self, layers: list[tuple[Budget, str]], at: datetime) -> list[tuple[Budget, Level]]:
        used = [(budget, sum(budget.used(self.counters, target, at))) for budget, target in layers]
        return [(budget, one) for budget, sums in used for one in budget.levels if sums >= one.level]

    def _awaiting(self, layers: list[tuple[Budget, str]], labels: Subject, at: datetime) -> list[Failure]:
        found: list[Failure] = []
        for budget, target in layers:
            used = sum(budget.used(self.counters, target, at))
            fired, approved, _ = budget.marks(self.counters, target, at)
            asked = [
                rank
                for rank, one in enumerate(budget.levels, 1)
                if one.action == "require_approval" and rank <= fired
            ]
            if asked and used >= budget.levels[0].level and asked[-1] > approved:
                level = budget.levels[asked[-1] - 1].stated.get("percent")
                shown = {"target": labels.get(budget.scope), "budget_id": budget.id, "percent": level}
                found.append(("approval_required", budget.scope, {"scope": budget.scope, **shown}, None))
        return found

    def _meters(
        self, layers: list[tuple[Budget, str]], subject: Subject, labels: Subject, policies: list[Policy],
        run: Run | None, at: datetime,
    ) -> list[Meter]:  # fmt: skip
        found: list[Meter] = []
        for budget, target in layers:
            used = sum(budget.used(self.counters, target, at))
            found += meters_of_levels(budget, target, labels.get(budget.scope), used, self.rates)
        limits = [one.meter(subject, labels, at) for _, one in sorted(self.limits.items())]
        found += [meter for meter in limits if meter is not None]
        if run is not None:
            found += [meter for policy in policies for meter in policy.ceilings(run.root)]
        return found

    def _exhausted(
        self, layers: list[tuple[Budget, str]], labels: Subject, call: Call, at: datetime
    ) -> list[Failure]:
        found: list[Failure] = []
        for budget, target in layers:
            held, spent = budget.used(self.counters, target, at)
            amount = call.asks(budget.letter)
            if spent + held + amount <= budget.most:
                continue
            if amount > budget.limit + budget.overdraft:
                code = "too_large"
            elif spent + amount > budget.most:
                code = "run_ceiling_reached" if budget.scope == "run" else "budget_exhausted"
            else:
                code = "budget_busy"
            figures = {
                "scope": budget.scope,
                "target": labels.get(budget.scope),
                "budget_id": budget.id,
                "limit": budget.shown(budget.limit),
                "spent": budget.shown(spent),
                "held": budget.shown(held),
                "remaining": budget.shown(max(0, budget.most - spent - held)),
                "resets_at": time_text(budget.resets(self.counters, target, at)),
                "requested": budget.shown(amount),
                "unit": budget.unit,
            }
            found.append((code, budget.scope, figures, None))
        return found

    def _unfunded(self, call: Call) -> list[Failure]:
        funded, idle = self.funds
        if call.charge <= funded:
            return []
        figures = {
            "scope": "credit",
            "target": None,
            "limit": text(self.credit - self.debt if self.line is None else self.line - self.owed),
            "spent": text(self.debt),
            "held": text(self.held),
            "requested": text(call.charge),
            "remaining": text(funded),
            "resets_at": None,
            "unit": CURRENCY,
        }
        return [("budget_busy" if idle >= call.charge else "credit_exhausted", "credit", figures, None)]

    def refusal(self, call: Call, at: datetime) -> dict[str, Any] | None:
        """What a call must be answered now: None (granted), or code, binding and also_failing, as the API says it."""
        return told(self.judge(call, at).failing)

    def is_capped(self, call: Call, at: datetime) -> bool:
        """Whether a granted call is kept to something."""
        judged = self.judge(call, at)
        return bool(judged.caps) or judged.run.cools


def told(failing: list[Failure]) -> dict[str, Any] | None:
    """All that refuse as one answer: the hardest class first, in it the narrowest scope."""
    if not failing:
        return None
    ordered = sorted(failing, key=lambda one: (CLASSES.get(one[0], 2), _rank(one), one[0]))
    (code, _, binding, _), *also = ordered
    answer = {
        "code": code,
        "binding": binding,
        "also_failing": [{"code": c, **shown} for c, _, shown, _ in also],
    }
    waits = [wait for other, _, _, wait in failing if CLASSES.get(other) == 1]
    if code == "budget_busy":
        return {**answer, "retry_after": 1}
    if CLASSES.get(code) == 1 and None not in waits:
        return {**answer, "retry_after": max(wait for wait in waits if wait is not None)}
    return answer


def _rank(failure: Failure) -> int:
    code, scope, _, _ = failure
    return SWITCH_RANKS.get(scope, 9) if code in ("paused", "blocked", "loop_detected") else RANKS[scope]


def _forbidden(caps: list[tuple[Budget, Level]], call: Call, labels: Subject) -> list[Failure]:
    found: list[Failure] = []
    for budget, one in caps:
        shown: Figures = {"scope": budget.scope, "target": labels.get(budget.scope), "budget_id": budget.id}
        models, tools = one.caps.get("models"), one.caps.get("tools")
        if models is not None and call.model is not None and call.model not in models:
            found.append(
                ("not_permitted", budget.scope, {**shown, "model": call.model, "models": models}, None)
            )
        if tools is not None and call.tool is not None and call.tool not in tools:
            found.append(("not_permitted", budget.scope, {**shown, "tool": call.tool, "tools": tools}, None))
    return found


def signature(refusal: dict[str, Any], *, wait: bool = False) -> str:
    """A refusal with all its figures, to be compared; what is nothing may be left out. `wait`: with its Retry-After."""
    layers = [{**refusal["binding"], "code": refusal["code"]}, *refusal["also_failing"]]
    shown = [{name: value for name, value in layer.items() if value is not None} for layer in layers]
    if wait:
        shown.append({"retry_after": refusal.get("retry_after")})
    return json.dumps(shown, sort_keys=True, separators=(",", ":"))

"""Rules for runs at the gate: attempts and their pauses, repeated fingerprints, wall time and depth (S55, S56).

What the rules need is in the working state: the last attempt of each step, the last fingerprints of each run. A call
that was refused is in neither.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from spend.rules.budgets import SCOPE_RANK
from spend.rules.commands import Reserve
from spend.rules.denials import (
    AttemptsExceeded,
    BackoffRequired,
    Binding,
    Denied,
    LoopDetected,
    RunCeilingReached,
)
from spend.rules.plan import Who
from spend.rules.runpolicies import Attempts, Loop, LoopLevel, RunPolicy
from spend.rules.state import OrganizationState, Run, Trace, Tried

Refusal = tuple[type[Denied], Binding]
KEPT: Final = 50
"""How many fingerprints of a run are kept; no loop rule looks further back."""
LEVELS: Final = 63
WALL: Final = 64
DEPTH: Final = 128
"""A trace's `level` keeps how many levels of loop detection have acted, and a bit for each ceiling that has."""
_RUN_RANK: Final = SCOPE_RANK["run"]
DEFAULT_ATTEMPTS: Final = Attempts()
DEFAULT_LOOP: Final = Loop()


@dataclass(slots=True)
class Found:
    """What the rules of a run say of a call: why it is refused, and what has happened for the first time.

    `news` are (trigger, action, rule, evidence, began_at, switch kind or None); `level` is what the trace's becomes.
    """

    failing: list[Refusal] = field(default_factory=list)
    news: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    level: int = 0
    cooldown_ms: int | None = None
    exceeded: tuple[str, int] | None = None


def judge_run(
    state: OrganizationState, command: Reserve, who: Who, policies: Sequence[RunPolicy], *, defaults: bool
) -> Found:
    """Return what these policies say; `defaults`: where they say nothing of attempts or loops, the house's rules."""
    found, run, subject = Found(), who.run, command.subject
    if run is None:
        return found
    found.level = state.traces[run.key].level if run.key in state.traces else 0
    if subject.step is not None and subject.attempt is not None:
        _attempts(state, command, run, policies, defaults, found)
    if command.action.fingerprint is not None:
        _loop(state, command, run, policies, defaults, found)
    for policy in policies:
        _ceilings(state, run, policy, found)
    return found


def _attempts(
    state: OrganizationState,
    command: Reserve,
    run: Run,
    policies: Sequence[RunPolicy],
    defaults: bool,
    found: Found,
) -> None:
    step, attempt = command.subject.step, command.subject.attempt
    assert step is not None and attempt is not None
    tried = state.tried.get((run.key, step))
    given = [(policy.rules.attempts, policy) for policy in policies if policy.rules.attempts is not None]
    rules: list[tuple[Attempts, RunPolicy | None]] = [*given] or (
        [(DEFAULT_ATTEMPTS, None)] if defaults else []
    )
    for rule, policy in rules:
        figures = {"step": step, "attempt": attempt, "limit": rule.most, "rule": _rule(policy)}
        if attempt > rule.most:
            found.failing.append((AttemptsExceeded, _binding(run.key, figures)))
            if tried is None or not tried.stopped:
                found.exceeded = (run.key, step)
                began = tried.at if tried is not None else state.now
                found.news.append(_news("attempts", "block", policy, figures, began))
        elif tried is not None and tried.attempt and attempt > 1:  # 0: all were refused, none came before
            over = tried.at + rule.pause_before(attempt) - state.now
            if over > timedelta():
                pause = {**figures, "pause_ms": _ms(rule.pause_before(attempt))}
                found.failing.append((BackoffRequired, _binding(run.key, pause, wait=_seconds(over))))


def _loop(
    state: OrganizationState,
    command: Reserve,
    run: Run,
    policies: Sequence[RunPolicy],
    defaults: bool,
    found: Found,
) -> None:
    given = [policy for policy in policies if policy.rules.loop is not None]
    policy = min(given, key=lambda one: SCOPE_RANK[one.scope]) if given else None
    rule = policy.rules.loop if policy is not None else DEFAULT_LOOP if defaults else None
    if rule is None:
        return
    name = digest(command.action.fingerprint or "")
    trace = state.traces.get(run.key) or Trace([])
    same = (
        [at for known, at in trace.recent[-(rule.window - 1) :] if known == name] if rule.window > 1 else []
    )
    count = len(same) + 1
    acted = found.level & LEVELS
    for place, level in enumerate(rule.levels, 1):
        if count < level.repeats:
            break
        evidence = {"fingerprint": command.action.fingerprint, "repeats": count, "window": rule.window}
        _act(level, found, state, run, policy, evidence, same, is_new=place > acted)
        found.level = (found.level & ~LEVELS) | max(place, acted)


def _act(
    level: LoopLevel,
    found: Found,
    state: OrganizationState,
    run: Run,
    policy: RunPolicy | None,
    evidence: dict[str, Any],
    same: Sequence[datetime],
    *,
    is_new: bool,
) -> None:
    figures = {**evidence, "limit": level.repeats, "rule": _rule(policy)}
    if is_new:
        switch = {"pause": "pause", "stop": "stop"}.get(level.action)
        began = same[0] if same else state.now
        found.news.append(_news("loop", level.action, policy, figures, began, switch=switch))
    if level.action in ("pause", "stop"):
        if is_new:
            found.failing.append((LoopDetected, _binding(run.key, figures)))
        return
    found.warnings.append({"code": "loop_suspected", "action": level.action, **evidence})
    if level.action == "cap" and level.cooldown:
        found.cooldown_ms = max(found.cooldown_ms or 0, _ms(level.cooldown))
        over = same[-1] + level.cooldown - state.now if same else timedelta()
        if over > timedelta():
            cooled = {**figures, "cooldown_ms": _ms(level.cooldown)}
            found.failing.append((BackoffRequired, _binding(run.key, cooled, wait=_seconds(over))))


def _ceilings(state: OrganizationState, run: Run, policy: RunPolicy, found: Found) -> None:
    rules, began = policy.rules, run.root_started_at or state.now
    passed = int((state.now - began).total_seconds())
    for bit, name, most, used in (
        (WALL, "seconds", rules.max_seconds, passed),
        (DEPTH, "depth", rules.max_depth, run.depth),
    ):
        if most is None or used <= most:
            continue
        figures = {"limit": most, "spent": used, "held": 0, "requested": 0, "remaining": 0, "unit": name}
        figures |= {"rule": str(policy.id)}
        found.failing.append((RunCeilingReached, _binding(run.root_key, figures)))
        if not found.level & bit:
            found.level |= bit
            found.news.append(_news("run_ceiling", "block", policy, figures, began))


def remember(state: OrganizationState, command: Reserve, run: Run) -> None:
    """Note an accepted call in the working state, as the projection of its event will."""
    subject, fingerprint = command.subject, command.action.fingerprint
    if subject.step is not None and subject.attempt is not None:
        known = state.tried.get((run.key, subject.step))
        stopped = known.stopped if known is not None else False
        state.tried[run.key, subject.step] = Tried(subject.attempt, state.now, stopped)
    if fingerprint is not None:
        trace = state.traces.setdefault(run.key, Trace([]))
        trace.recent = [*trace.recent, (digest(fingerprint), state.now)][-KEPT:]


def digest(fingerprint: str) -> str:
    """Return what a trace keeps of a fingerprint: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:16]


def of_mode(policies: Iterable[RunPolicy], mode: str) -> list[RunPolicy]:
    """Return the policies in this mode."""
    return [policy for policy in policies if policy.mode == mode]


def _news(
    trigger: str,
    action: str,
    policy: RunPolicy | None,
    evidence: dict[str, Any],
    began_at: datetime,
    *,
    switch: str | None = None,
) -> dict[str, Any]:
    return {
        "trigger": trigger, "action": action, "rule": _rule(policy), "began_at": began_at, "switch": switch,
        "evidence": {name: value for name, value in evidence.items() if value is not None},
    }  # fmt: skip


def _rule(policy: RunPolicy | None) -> str | None:
    return None if policy is None else str(policy.id)


def _binding(target: str, figures: dict[str, Any], *, wait: int | None = None) -> Binding:
    shown = {"scope": "run", "target": target, **{n: v for n, v in figures.items() if v is not None}}
    return Binding(scope="run", rank=_RUN_RANK, figures=shown, requested=0, wait=wait)


def _seconds(span: timedelta) -> int:
    return max(1, -(-span // timedelta(seconds=1)))


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)

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
_TEXTS: Final = frozenset(("limit", "spent", "held", "requested", "remaining"))
DEFAULT_ATTEMPTS: Final = Attempts()
DEFAULT_LOOP: Final = Loop()


@dataclass(slots=True)
class Found:
    """What the rules of a run say of a call: why it is refused, and what has happened for the first time.

    `news` are (trigger, action, rule, evidence, began_at, switch kind or None, whom it is about); `level` is what the
    trace's becomes, `root_level` that of the root run's: a ceiling is the whole tree's, and acts once for all of it.
    """

    failing: list[Refusal] = field(default_factory=list)
    news: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    level: int = 0
    root_level: int = 0
    cooldown_ms: int | None = None
    prefix: str = ""
    exceeded: tuple[str, int] | None = None


def judge_run(
    state: OrganizationState, command: Reserve, who: Who, policies: Sequence[RunPolicy], *, prefix: str = ""
) -> Found:
    """Return what these policies say, by the history that the run has under this prefix of its key: the shadow gate
    keeps one of its own. Without a prefix the house's rules hold where no policy says anything of attempts or loops.
    """
    found, run, subject = Found(prefix=prefix), who.run, command.subject
    if run is None:
        return found
    name = prefix + run.key
    found.level = state.traces[name].level if name in state.traces else 0
    root = state.traces.get(prefix + run.root_key)
    found.root_level = root.level if root is not None else 0
    if subject.step is not None and subject.attempt is not None:
        _attempts(state, command, run, policies, found)
    if command.action.fingerprint is not None:
        _loop(state, command, run, policies, found)
    for policy in policies:
        _ceilings(state, run, policy, found)
    return found


def _attempts(
    state: OrganizationState,
    command: Reserve,
    run: Run,
    policies: Sequence[RunPolicy],
    found: Found,
) -> None:
    step, said = command.subject.step, command.subject.attempt
    assert step is not None and said is not None
    tried = state.tried.get((found.prefix + run.key, step))
    attempt = counted_attempt(tried, said) if said > 1 else said
    given = [(policy.rules.attempts, policy) for policy in policies if policy.rules.attempts is not None]
    default: list[tuple[Attempts, RunPolicy | None]] = [] if found.prefix else [(DEFAULT_ATTEMPTS, None)]
    rules = [*given] or default
    for rule, policy in rules:
        figures = {"step": step, "attempt": attempt, "limit": rule.most, "rule": _rule(policy)}
        if attempt > rule.most:
            found.failing.append((AttemptsExceeded, _binding(run.key, figures)))
            if tried is None or not tried.stopped:
                found.exceeded = (found.prefix + run.key, step)
                began = tried.at if tried is not None else state.now
                found.news.append(_news("attempts", "block", policy, figures, began, run.key))
        elif tried is not None and tried.attempt and said > 1:  # 0: all were refused, none came before
            over = tried.at + rule.pause_before(attempt) - state.now
            if over > timedelta():
                pause = {**figures, "pause_ms": _ms(rule.pause_before(attempt))}
                found.failing.append((BackoffRequired, _binding(run.key, pause, wait=_seconds(over))))


def _loop(
    state: OrganizationState,
    command: Reserve,
    run: Run,
    policies: Sequence[RunPolicy],
    found: Found,
) -> None:
    given = [policy for policy in policies if policy.rules.loop is not None]
    policy = min(given, key=lambda one: SCOPE_RANK[one.scope]) if given else None
    rule = policy.rules.loop if policy is not None else None if found.prefix else DEFAULT_LOOP
    if rule is None:
        return
    name = digest(command.action.fingerprint or "")
    trace = state.traces.get(found.prefix + run.key) or Trace([])
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
        found.news.append(_news("loop", level.action, policy, figures, began, run.key, switch=switch))
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
        if not found.root_level & bit:
            found.root_level |= bit
            if run.key == run.root_key:
                found.level |= bit
            found.news.append(_news("run_ceiling", "block", policy, figures, began, run.root_key))


def counted_attempt(tried: Tried | None, said: int) -> int:
    """Return which attempt of its step a call counts as: no caller has a second one for the price of another.

    A retry comes after those that were accepted, whatever number it has. A first attempt counts as one again: a step
    may make several calls; it is a step of its own to the ceiling of steps.
    """
    accepted = tried.attempt if tried is not None else 0
    return max(said, accepted + 1) if said > 1 else max(said, accepted)


def is_retry(state: OrganizationState, command: Reserve, run: str | None) -> bool:
    """Return whether a call repeats a step that this history of its run knows; to say so is not enough."""
    step, attempt = command.subject.step, command.subject.attempt
    if run is None or step is None or attempt is None or attempt <= 1:
        return False
    tried = state.tried.get((run, step))
    return tried is not None and tried.attempt > 0


def remember(state: OrganizationState, command: Reserve, run: str) -> int | None:
    """Note an accepted call in the working state as its event's projection will; `run` is the key of a history. Return
    which attempt it counts as there, where that is not what it said.
    """
    subject, fingerprint, counted = command.subject, command.action.fingerprint, None
    if subject.step is not None and subject.attempt is not None:
        known = state.tried.get((run, subject.step))
        stopped = known.stopped if known is not None else False
        counted = counted_attempt(known, subject.attempt)
        state.tried[run, subject.step] = Tried(counted, state.now, stopped)
    if fingerprint is not None:
        trace = state.traces.setdefault(run, Trace([]))
        trace.recent = [*trace.recent, (digest(fingerprint), state.now)][-KEPT:]
    # What is known of a step is not read for a first attempt: its row keeps the greater of the two by itself.
    return counted if counted != subject.attempt and (subject.attempt or 0) > 1 else None


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
    target: str,
    *,
    switch: str | None = None,
) -> dict[str, Any]:
    return {
        "trigger": trigger, "action": action, "rule": _rule(policy), "began_at": began_at, "switch": switch,
        "target": target,
        "evidence": {name: value for name, value in evidence.items() if value is not None},
    }  # fmt: skip


def _rule(policy: RunPolicy | None) -> str | None:
    return None if policy is None else str(policy.id)


def _binding(target: str, figures: dict[str, Any], *, wait: int | None = None) -> Binding:
    shown: dict[str, Any] = {"scope": "run", "target": target}
    # What every refusal has is written as everywhere: a text, whatever its unit.
    shown |= {n: str(v) if n in _TEXTS else v for n, v in figures.items() if v is not None}
    return Binding(scope="run", rank=_RUN_RANK, figures=shown, requested=0, wait=wait)


def _seconds(span: timedelta) -> int:
    return max(1, -(-span // timedelta(seconds=1)))


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)

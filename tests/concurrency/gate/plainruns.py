"""Attempts, loops, wall time and depth of runs in plain arithmetic."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.concurrency.gate.plaincalls import ORDER, Call, Failure, Figures, seconds_of
from tests.concurrency.gate.plainrules import Past, Policy, Run

HOUSE_ATTEMPTS = {"max": 5, "first_ms": 1_000, "longest_ms": 60_000}
HOUSE_LOOP = {
    "window": 50,
    "levels": [
        {"repeats": 10, "action": "warn", "cooldown_ms": 0},
        {"repeats": 20, "action": "cap", "cooldown_ms": 30_000},
    ],
}
WALL, DEPTH = 64, 128
KEPT = 50
TEXTS = ("limit", "spent", "held", "requested", "remaining")
MS = timedelta(milliseconds=1)


@dataclass
class Found:
    """Why a call is refused, the actions of a loop that begin with it, and the mark that its run has then."""

    failing: list[Failure] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    level: int = 0
    cools: bool = False


def judge_run(run: Run | None, past: Past, call: Call, policies: list[Policy], at: datetime) -> Found:
    """What policies (the narrowest target is the first in ORDER) say of a call, and where they do not the house."""
    found = Found()
    if run is None:
        return found
    found.level = past.level
    if call.step is not None and call.attempt is not None:
        _attempts(run, past, call, policies, at, found)
    if call.fingerprint is not None:
        _loop(run, past, call, policies, at, found)
    for policy in policies:
        _ceilings(run, policy, at, found)
    return found


def counted_attempt(past: Past, step: int, said: int) -> int:
    """A retry comes after those that were accepted, whatever it says; a first attempt is one more call of the last."""
    accepted = past.tried[step][0] if step in past.tried else 0
    return max(said, accepted + 1) if said > 1 else max(said, accepted)


def remember(past: Past, call: Call, at: datetime) -> None:
    """An accepted call."""
    if call.step is not None and call.attempt is not None:
        past.tried[call.step] = (counted_attempt(past, call.step, call.attempt), at)
    if call.fingerprint is not None:
        past.trace = [*past.trace, (call.fingerprint, at)][-KEPT:]


def _attempts(run: Run, past: Past, call: Call, policies: list[Policy], at: datetime, found: Found) -> None:
    step, said = call.step, call.attempt
    assert step is not None and said is not None
    attempt = counted_attempt(past, step, said) if said > 1 else said
    given: list[tuple[dict[str, Any], str | None]] = [
        (one.rules["attempts"], one.id) for one in policies if one.rules.get("attempts")
    ]
    for rule, name in given or [(HOUSE_ATTEMPTS, None)]:
        shown = {"step": step, "attempt": attempt, "limit": rule["max"], "rule": name}
        if attempt > rule["max"]:
            found.failing.append(_no("attempts_exceeded", run.key, shown))
        elif said > 1 and step in past.tried:
            pause = min(rule["longest_ms"], rule["first_ms"] * 2 ** min(attempt - 2, 40))
            over = past.tried[step][1] + pause * MS - at
            if over > timedelta():
                figures = {**shown, "pause_ms": pause}
                found.failing.append(_no("backoff_required", run.key, figures, seconds_of(over)))


def _loop(run: Run, past: Past, call: Call, policies: list[Policy], at: datetime, found: Found) -> None:
    given = [one for one in policies if one.rules.get("loop")]
    policy = min(given, key=lambda one: ORDER.index(one.scope)) if given else None
    rule = policy.rules["loop"] if policy is not None else HOUSE_LOOP
    recent = past.trace[-(rule["window"] - 1) :]
    same = [_kept(then, at) for name, then in recent if name == call.fingerprint]
    acted = past.level & 63
    for place, level in enumerate(rule["levels"], 1):
        if len(same) + 1 < level["repeats"]:
            break
        action, is_new = level["action"], place > acted
        shown = {
            "fingerprint": call.fingerprint, "repeats": len(same) + 1, "window": rule["window"],
            "limit": level["repeats"], "rule": policy.id if policy is not None else None,
        }  # fmt: skip
        if is_new:
            found.news.append(action)
        found.level = (found.level & ~63) | max(place, acted)
        if action in ("pause", "stop"):
            found.failing += [_no("loop_detected", run.key, shown)] if is_new else []
        elif action == "cap" and level["cooldown_ms"]:
            found.cools = True
            over = same[-1] + level["cooldown_ms"] * MS - at
            if over > timedelta():
                figures = {**shown, "cooldown_ms": level["cooldown_ms"]}
                found.failing.append(_no("backoff_required", run.key, figures, seconds_of(over)))


def _kept(then: datetime, at: datetime) -> datetime:
    """Of an earlier transaction the milliseconds are kept."""
    return then if then == at else then.replace(microsecond=then.microsecond // 1_000 * 1_000)


def _ceilings(run: Run, policy: Policy, at: datetime, found: Found) -> None:
    passed = int((at - (run.began or at)).total_seconds())
    for bit, name, used in ((WALL, "seconds", passed), (DEPTH, "depth", run.depth)):
        most = policy.rules.get(f"max_{name}")
        if most is None or used <= most:
            continue
        shown = {
            "limit": most, "spent": used, "held": 0, "requested": 0, "remaining": 0, "unit": name, "rule": policy.id,
        }  # fmt: skip
        found.failing.append(_no("run_ceiling_reached", run.root, shown))
        found.level |= bit


def _no(code: str, target: str, shown: Figures, wait: int | None = None) -> Failure:
    written = {name: str(value) if name in TEXTS else value for name, value in shown.items()}
    return code, "run", {"scope": "run", "target": target, **written}, wait

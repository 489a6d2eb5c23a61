"""Meters: what is counted beside money before a call may pass: rate limits, ceilings of runs, throttles (S48 to S52).

A meter counts in a counter like a budget's; the letter of its receipt says how: `q` requests and `s` steps are spent at
once, `n` is held while the reservation is open, `t`, `i`, `o` (tokens) and `x` (tool calls) are held and then what was
used, `g` is a GCRA whose `spent` is its theoretical arrival time in nanoseconds since 1970.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from common.ids import AnyId
from spend.rules.budgets import BudgetDefinition, Threshold
from spend.rules.limits import LONGEST_BURST_NS, SECOND_NS, RateLimit, interval_of
from spend.rules.runpolicies import RunPolicy
from spend.rules.state import Layer
from spend.rules.windows import EPOCH

SHADOW: Final = "\x02"
STRIKES: Final = "\x03"
THRESHOLD: Final = "\x04"
"""What a counter's target begins with when it is not that of a budget's own window; no name holds such characters."""
BUSY_SECONDS: Final = 1
MOST_WAIT_SECONDS: Final = 60
NEVER: Final = 2**62
UTC_ZONE: Final = ZoneInfo("UTC")
_UNITS: Final = {"requests": "q", "tokens": "t", "tool_calls": "x", "concurrent": "n"}
_DIRECTIONS: Final = {"input": "i", "output": "o"}


class Meter:
    """One such rule. `counts` is the letter of what it asks of a call, `letter` that of its receipt.

    kind: rate, dunning (of a customer in arrears), entitlement, throttle (a threshold's), ceiling (of a run), strikes
    (of an escalation, refuses nothing). A GCRA lets one unit pass each `interval_ns`, `burst` at once. `escalate`
    is (denials, seconds). It has what a budget has for counting it: id, scope, letter, most, shown, version and
    rolling_seconds.
    """

    __slots__ = (
        "amount_limit", "behaviour", "burst", "counts", "escalate", "id", "interval_ns", "kind", "letter", "limit_text",
        "mode", "most", "overdraft", "per", "rolling_seconds", "scope", "shown", "unit", "version", "window_kind",
        "zone",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: AnyId,
        kind: str,
        scope: str,
        counts: str,
        unit: str,
        most: int,
        window_kind: str,
        zone: ZoneInfo = UTC_ZONE,
        version: int = 0,
        mode: str = "enforce",
        behaviour: str = "reject",
        interval_ns: int = 0,
        burst: int = 0,
        escalate: tuple[int, int] | None = None,
        rolling_seconds: int | None = None,
        per: str | None = None,
    ) -> None:
        self.id, self.kind, self.scope, self.unit = id, kind, scope, unit
        self.counts, self.letter = counts, "g" if burst else counts
        self.most, self.amount_limit, self.overdraft = most, most, 0
        self.window_kind, self.zone, self.version, self.mode = window_kind, zone, version, mode
        self.behaviour, self.interval_ns, self.burst = behaviour, interval_ns, burst
        self.escalate, self.rolling_seconds, self.per = escalate, rolling_seconds, per
        self.shown, self.limit_text = str, str(most)


class Wait:
    """A meter's refusal: after how many seconds the call would fit, None for never; and what is left now."""

    __slots__ = ("remaining", "seconds")

    def __init__(self, seconds: int | None, remaining: int) -> None:
        self.seconds, self.remaining = seconds, remaining


def refusal_of_meter(layer: Layer, now: datetime, attempt: int | None = None) -> Wait | None:
    """Return why this meter refuses what is asked of it, None when it fits (equality passes)."""
    meter: Any = layer.budget
    if not layer.requested:
        return None
    if meter.burst:
        wait = _gcra_wait(layer, meter, now)
    elif layer.spent + layer.held + layer.requested <= meter.most:
        return None
    else:
        wait = Wait(_fixed_wait(layer, meter, now), max(0, meter.most - layer.spent - layer.held))
    if wait is not None and wait.seconds is not None and meter.behaviour == "throttle" and attempt:
        doubled = wait.seconds * 2 ** min(max(0, attempt - 1), 10)
        wait.seconds = max(wait.seconds, min(MOST_WAIT_SECONDS, doubled))
    return wait


def _gcra_wait(layer: Layer, meter: Meter, now: datetime) -> Wait | None:
    """Generic cell rate algorithm: a call of n units conforms when max(TAT, now) + n * T <= now + burst * T."""
    at = nanoseconds(now)
    begins, horizon = max(layer.counter.spent, at), at + meter.burst * meter.interval_ns
    over = begins + layer.requested * meter.interval_ns - horizon
    if over <= 0 and meter.most:
        return None
    left = max(0, (horizon - begins) // meter.interval_ns) if meter.most else 0
    fits_ever = meter.most and layer.requested <= meter.burst
    return Wait(max(1, -(-over // SECOND_NS)) if fits_ever else None, left)


def _fixed_wait(layer: Layer, meter: Meter, now: datetime) -> int | None:
    if layer.requested > meter.most:
        return None
    if meter.counts == "n":
        return BUSY_SECONDS
    if layer.resets_at is None:
        return None
    return max(1, -(-(layer.resets_at - now) // timedelta(seconds=1)))


def take(layer: Layer, now: datetime) -> int | None:
    """Move the meter's counter by what is asked; return by how much a GCRA's arrival time moved."""
    meter: Any = layer.budget
    counter = layer.counter
    if meter.letter == "g":
        moved: int = (
            max(counter.spent, nanoseconds(now)) + layer.requested * meter.interval_ns - counter.spent
        )
        counter.spent += moved
        return moved
    if meter.letter in "qs":
        counter.spent += layer.requested
        layer.spent += layer.requested
        return None
    layer.hold()
    return None


def nanoseconds(moment: datetime) -> int:
    """Return a moment in nanoseconds since 1970, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000


def meter_start(meter: Meter) -> datetime:
    """Return the start that names a GCRA's counter: at another rate it is another meter."""
    return EPOCH + timedelta(microseconds=meter.interval_ns // 1_000)


def meter_of_limit(limit: RateLimit, *, kind: str = "rate") -> Meter:
    """Return the meter that a rate limit is; `kind` dunning: of a customer in arrears; entitlement."""
    counts = _DIRECTIONS.get(limit.direction or "", _UNITS[limit.unit])
    window = limit.window_kind or "lifetime"
    burst = limit.burst or (limit.amount_limit or 1 if window == "second" else 0)
    interval = interval_of(window, limit.amount_limit)
    escalate = None
    if limit.escalate_denials and limit.escalate_seconds:
        escalate = (limit.escalate_denials, limit.escalate_seconds)
    return Meter(
        id=str(limit.id),
        kind=kind,
        scope=limit.scope,
        counts=counts,
        unit=limit.unit,
        most=limit.amount_limit,
        window_kind="lifetime" if burst else window,
        zone=ZoneInfo(limit.time_zone),
        version=limit.version,
        mode=limit.mode,
        behaviour=limit.behaviour,
        interval_ns=interval,
        burst=min(burst, LONGEST_BURST_NS // interval),  # no new one is longer
        escalate=escalate,
        per=limit.per,
    )


def strikes_of(meter: Meter) -> Meter | None:
    """Return what counts the denials of a limit that escalates."""
    if meter.escalate is None:
        return None
    denials, seconds = meter.escalate
    return Meter(
        id=meter.id, kind="strikes", scope=meter.scope, counts="q", unit="denials", most=denials,
        window_kind="rolling", rolling_seconds=seconds, version=meter.version, mode=meter.mode,
    )  # fmt: skip


def ceilings_of(policy: RunPolicy) -> list[Meter]:
    """Return the ceilings of a policy that are counted: steps and tool calls of a run's whole tree."""
    ceilings = (("s", "steps", policy.rules.max_steps), ("x", "tool_calls", policy.rules.max_tool_calls))
    return [
        Meter(
            id=str(policy.id),
            kind="ceiling",
            scope="run",
            counts=letter,
            unit=unit,
            most=most,
            window_kind="run",
            version=policy.version,
            mode=policy.mode,
        )
        for letter, unit, most in ceilings
        if most is not None
    ]


def meter_of_threshold(
    budget: BudgetDefinition, threshold: Threshold, limits: dict[str, Meter]
) -> Meter | None:
    """Return the slower rate that a threshold sets once it is reached; None when it sets none (S52)."""
    given: dict[str, Any] = {
        "id": str(budget.id), "kind": "throttle", "scope": budget.scope, "version": budget.version,
        "mode": budget.mode, "counts": "q", "unit": "requests", "window_kind": "lifetime",
    }  # fmt: skip
    if threshold.per_minute:
        rate = threshold.per_minute
        return Meter(**given, most=rate, interval_ns=-(-60 * SECOND_NS // rate), burst=rate)
    if threshold.rate_percent and threshold.rate_limit in limits:
        limit = limits[threshold.rate_limit]
        most = limit.most * threshold.rate_percent // 100
        given |= {"counts": limit.counts, "unit": limit.unit, "window_kind": limit.window_kind}
        burst = max(1, limit.burst * threshold.rate_percent // 100) if limit.burst else 0
        if burst and limit.most:  # its interval says the rate, also one of less than a unit in a window
            most = max(1, most)
        interval = -(-limit.interval_ns * 100 // threshold.rate_percent)
        return Meter(**given, most=most, zone=limit.zone, interval_ns=interval, burst=burst)
    if threshold.caps is not None and threshold.caps.cooldown_ms:
        return Meter(**given, most=1, interval_ns=threshold.caps.cooldown_ms * 10**6, burst=1)
    return None


def steps_of_threshold(budget: BudgetDefinition, threshold: Threshold) -> Meter | None:
    """Return what counts the calls that a cap still allows; None when it does not count them."""
    if threshold.caps is None or threshold.caps.steps is None:
        return None
    return Meter(
        id=str(budget.id), kind="steps", scope=budget.scope, counts="q", unit="steps", most=threshold.caps.steps,
        window_kind=budget.window_kind, rolling_seconds=budget.rolling_seconds, zone=budget.zone,
        version=budget.version, mode=budget.mode,
    )  # fmt: skip


__all__ = [
    "SHADOW", "STRIKES", "THRESHOLD", "Meter", "Wait", "ceilings_of", "meter_of_limit", "meter_of_threshold",
    "meter_start", "nanoseconds", "refusal_of_meter", "steps_of_threshold", "strikes_of", "take",
]  # fmt: skip

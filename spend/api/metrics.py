"""What the gate's entry counts: one file per process, added up by whoever answers GET /metrics."""

from functools import cache
from typing import Final

from prometheus_client import Counter, Histogram

CALLS: Final = Counter("counterfoil_gate_calls", "Calls of the gate, by call and status", ["call", "status"])
SECONDS: Final = Histogram(
    "counterfoil_gate_call_seconds",
    "Time from a call's headers to its answer",
    ["call"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4),
)


@cache
def _counter(call: str, status: int) -> Counter:
    return CALLS.labels(call, str(status))


@cache
def _clock(call: str) -> Histogram:
    return SECONDS.labels(call)


def count(call: str, status: int, seconds: float) -> None:
    """Count one answered call."""
    _counter(call, status).inc()
    _clock(call).observe(seconds)

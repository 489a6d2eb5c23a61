"""Faults of the API, by rule: which calls, which time, how they go wrong."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "rate_limit", "lock_timeout", "conflict", "error_before", "error_after", "timeout_before", "timeout_after",
    "reset_before", "reset_after", "latency", "html_502", "truncated", "headers", "forbidden", "test_only",
)  # fmt: skip


@dataclass
class Fault:
    """One rule. `nth`: only the n-th matching call (from 1); `count`: at most so many; `probability` with `seed`."""

    kind: str
    method: str = "*"
    path: str = ".*"
    nth: int | None = None
    count: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    retry_after: int | None = None
    should_retry: str | None = None  # "true", "false"
    seen: int = 0
    hit: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        re.compile(self.path)
        self._random.seed(self.seed)

    def strikes(self, method: str, path: str) -> bool:
        """Count the call, and say whether it goes wrong."""
        if self.method not in ("*", method) or not re.fullmatch(self.path, path):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.count is not None and self.hit >= self.count:
            return False
        if self.probability < 1 and self._random.random() >= self.probability:
            return False
        self.hit += 1
        return True

    def headers(self) -> dict[str, str]:
        told = {"Retry-After": self.retry_after, "Stripe-Should-Retry": self.should_retry}
        return {name: str(value) for name, value in told.items() if value is not None}

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class Faults:
    """The rules in force; a call meets every rule that strikes."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def strike(self, method: str, path: str) -> list[Fault]:
        return [rule for rule in self.rules if rule.strikes(method, path)]

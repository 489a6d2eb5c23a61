"""`python -m tests.bench.reading`: what the gate's entry spends on a call by part, in us, without a server."""

import gc
import json
import os
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from common.api.limiter import Limiter  # noqa: E402  (needs the apps)
from common.strictjson import canonical_digest, parse_object  # noqa: E402
from orgs.queries.authentication import Known, bearer_secret  # noqa: E402
from orgs.rules.api_keys import hash_of, new_secret  # noqa: E402
from orgs.rules.permissions import Principal  # noqa: E402
from spend.api import quickwire, wire  # noqa: E402
from spend.api.admitted import Admitted  # noqa: E402
from spend.api.calls import Call  # noqa: E402
from spend.api.metrics import count  # noqa: E402

ROUNDS, CALLS = 7, 3_000
RESERVATION = UUID("0198c5a2-0000-7000-8000-000000000001")
RESERVE = {
    "subject": {
        "agent": "research-bot", "workflow": "weekly-report", "run": "run-81", "connection": "anthropic-prod",
        "user": "u-7", "step": 12, "attempt": 1,
    },
    "action": {"kind": "llm.chat", "provider": "anthropic", "model": "claude-sonnet-4-5"},
    "estimate": {"input_tokens": 1_800, "max_output_tokens": 900}, "currency": "USD", "ttl_seconds": 60,
}  # fmt: skip
COMMIT = {
    "outcome": "completed", "latency_ms": 812, "response_id": "resp_abc123",
    "usage": {"input_tokens": 1_730, "cache_read_input_tokens": 1_200, "output_tokens": 412},
}  # fmt: skip


class Asked:
    """What reading looks at of a request."""

    path = "/v1/reservations"

    def header(self, name: str) -> str:
        return "k-1234"


def microseconds(work: Callable[[], Any]) -> float:
    """The time of one, in the best of some rounds: what the machine does besides is not its cost."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(CALLS):
            work()
        best = min(best, time.perf_counter() - begun)
    return best / CALLS * 1e6


def parts() -> dict[str, Callable[[], Any]]:
    """What is measured."""
    principal = Principal(UUID(int=1), UUID(int=2), False, frozenset({"spend:write"}))
    admitted = Admitted(Known(principal, b"hash", 1, None))
    call, limiter, secret = Call(Asked(), admitted), Limiter(10**9), f"Bearer {new_secret()}"  # type: ignore[arg-type]
    raw = {"reserve": json.dumps(RESERVE).encode(), "commit": json.dumps(COMMIT).encode()}
    read = {name: parse_object(body) for name, body in raw.items()}
    given: dict[str, Any] = {**admitted.named, "key": None}
    return {
        "key: hash of the secret": lambda: hash_of(bearer_secret(secret) or ""),
        "limit of calls": lambda: limiter.take(1),
        "counting": lambda: count("reserve", 201, 0.003),
        "reserve, exactly: JSON": lambda: parse_object(raw["reserve"]),
        "reserve, exactly: digest": lambda: canonical_digest(read["reserve"]),
        "reserve, exactly: fields": lambda: wire.read_reserve(read["reserve"], **given),
        "reserve, quickly: all three": lambda: quickwire.quick(quickwire.reserve, raw["reserve"], call, None),
        "commit, exactly: JSON": lambda: parse_object(raw["commit"]),
        "commit, exactly: digest": lambda: canonical_digest(read["commit"]),
        "commit, exactly: fields": lambda: wire.read_commit(read["commit"], **given, reservation=RESERVATION),
        "commit, quickly: all three": lambda: quickwire.quick(
            quickwire.commit, raw["commit"], call, RESERVATION
        ),
    }


def main() -> None:
    gc.disable()
    for name, work in parts().items():
        print(f"{name:<32} {microseconds(work):6.2f} us")


if __name__ == "__main__":
    main()

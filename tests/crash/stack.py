"""A private running copy of everything, whose processes may be killed; and the customers that work on it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from sandbox import processes
from sandbox.control import forget_cluster, supervisor_pid
from sandbox.places import CHECKOUT, free_port, read_json
from tests.builders.crowd import Client, Reply

SERVED = frozenset(("postgres", "valkey", "stripe", "web", "app", "worker", "beat"))
NOT_INHERITED = frozenset(
    (
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "GATE_DATABASE_URL",
        "DATABASE_READONLY_URL",
        "CELERY_BROKER_URL",
        "STRIPE_API_KEY",
        "STRIPE_API_BASE",
        "STRIPE_WEBHOOK_SECRETS",
        "STRIPE_CONNECT_WEBHOOK_SECRETS",
    )
)


LEVELS = (1, 2, 5, 10, 20, 50)
THRESHOLDS = [
    {"amount": str(level), "action": action, **({"per_minute": 1_000_000} if action == "throttle" else {})}
    for level, action in zip(LEVELS, ("notify", "cap", "throttle") * 2, strict=True)
]
"""Levels that the load crosses, and that stop nobody: what is not acknowledged must be answered when it is repeated."""
REJECT = {"behaviour": "reject"}
RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "/v1/budgets",
        {"scope": "agent", "window": "month", "limit": "3", "currency": "USD", "mode": "observe"},
    ),
    (
        "/v1/rate-limits",
        {"scope": "organization", "unit": "requests", "window": "second", "limit": 10_000, **REJECT},
    ),
    (
        "/v1/rate-limits",
        {"scope": "agent", "unit": "requests", "window": "hour", "limit": 1_000_000, **REJECT},
    ),
    ("/v1/rate-limits", {"scope": "agent", "unit": "concurrent", "limit": 1_000_000, **REJECT}),
    (
        "/v1/rate-limits",
        {"scope": "agent", "unit": "requests", "window": "day", "limit": 20, "mode": "observe", **REJECT},
    ),
    ("/v1/run-policies", {"scope": "organization", "max_steps": 1_000_000, "max_depth": 3}),
)


def eventually(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Whether it holds before the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


class Stack:
    """The copy in one state folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        self.environment = {**kept, "COUNTERFOIL_HOME": str(home), "COUNTERFOIL_PORT": str(free_port())}
        self.output = home.parent / f"{home.name}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.supervisor", "--bare"],
                cwd=CHECKOUT, env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def http(self) -> str:
        """Where it serves."""
        return str((read_json(path=self.home / "run" / "urls.json") or {})["http"])

    def reading(self) -> psycopg.Connection[Any]:
        """A connection of the readers' role."""
        urls = read_json(path=self.home / "run" / "urls.json") or {}
        return psycopg.connect(urls["database_readonly"], autocommit=True)

    def entries(self) -> dict[str, dict[str, Any]]:
        """What pids.json says."""
        return read_json(path=self.home / "run" / "pids.json") or {}

    def is_ready(self) -> bool:
        """Whether every child serves."""
        known = self.entries()
        return (
            supervisor_pid(home=self.home) == self.process.pid
            and set(known) == SERVED
            and all(entry["ready"] and processes.start_time(pid=entry["pid"]) for entry in known.values())
        )

    def wait(self, *, seconds: float = 60) -> None:
        """Until every child serves. Fails with what the supervisor said."""
        ready = eventually(lambda: self.is_ready() or self.process.poll() is not None, seconds=seconds)
        assert ready and self.is_ready(), f"{self.entries()}\n{self.output.read_text()[-3000:]}"

    def kill(self, name: str, *, chance: random.Random) -> str:
        """kill -9 of a child: its whole group, or only one of its processes; says what it was."""
        entry = self.entries()[name]
        members = processes.group_members(group=entry["group"])
        if name in ("web", "app", "worker") and chance.random() < 0.5 and len(members) > 1:
            victim = chance.choice(members)
            os.kill(victim, signal.SIGKILL)
            return f"{name}: one of {len(members)}"
        if name == "postgres":
            os.kill(entry["pid"], signal.SIGKILL)  # the postmaster; its backends notice
            return "postgres: the postmaster"
        processes.signal_group(group=entry["group"], number=signal.SIGKILL)
        return f"{name}: the group"

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A management command on this copy."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def prove(self) -> dict[str, int]:
        """Exit codes of the proofs over everything; fails with their words when one finds a difference."""
        codes = {}
        for words in (("verify_ledger",), ("rebuild", "--check")):
            answer = self.command(*words)
            assert answer.returncode == 0, f"{words}\n{answer.stdout[-3000:]}{answer.stderr[-3000:]}"
            codes[" ".join(words)] = answer.returncode
        return codes

    def flush_broker(self) -> None:
        """FLUSHALL."""
        import redis

        urls = read_json(path=self.home / "run" / "urls.json") or {}
        redis.Redis.from_url(urls["broker"]).flushall()

    def stop(self) -> None:
        """End everything."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)
        forget_cluster(home=self.home)


@contextmanager
def running_stack(home: Path) -> Iterator[Stack]:
    """A copy that serves until the block ends."""
    stack = Stack(home)
    try:
        stack.wait(seconds=120)
        yield stack
    finally:
        stack.stop()


class Tenant:
    """A customer of the copy, made through its API."""

    def __init__(self, stack: Stack, platform: str, name: str) -> None:
        owner = Client(stack.http, platform)
        made = _made(
            owner.post(
                "/v1/organizations",
                {"name": name, "currency": "USD", "time_zone": "UTC", "funding": "prepaid"},
            )
        )
        self.id = UUID(made["id"])
        scopes = {"name": "load", "scopes": ["admin", "spend:write", "spend:read"]}
        self.secret = str(_made(owner.post(f"/v1/organizations/{self.id}/api-keys", scopes))["secret"])
        grant = {
            "organization": made["id"],
            "amount": "1000000",
            "currency": "USD",
            "kind": "paid",
            "reason": "load",
        }
        _made(owner.post("/v1/credits/grants", grant, key=f"grant-{self.id}"))
        owner.close()
        own = Client(stack.http, self.secret)
        _made(own.post("/v1/agents", {"key": "bot", "name": "Bot"}))
        for scope, window in (("organization", "month"), ("agent", "day"), ("run", "run")):
            budget = {"scope": scope, "window": window, "limit": "900000", "currency": "USD"}
            _made(own.post("/v1/budgets", {**budget, "thresholds": THRESHOLDS}))
        for path, rule in RULES:
            _made(own.post(path, rule))
        own.close()


def make_tenants(stack: Stack, count: int) -> list[Tenant]:
    """That many customers."""
    answer = stack.command("create_api_key", "--platform", "--json")
    assert answer.returncode == 0, answer.stderr
    platform = json.loads(answer.stdout)["secret"]
    return [Tenant(stack, platform, f"Load {number}") for number in range(count)]


def _made(reply: Reply) -> dict[str, Any]:
    assert reply.status == 201, reply.body
    found: dict[str, Any] = reply.json()
    return found


def all_ids(tenants: Sequence[Tenant]) -> list[UUID]:
    """Their ids."""
    return [tenant.id for tenant in tenants]

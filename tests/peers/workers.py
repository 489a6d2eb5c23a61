"""A peer's worker process, and several of them that share the clients of a load."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.places import CHECKOUT

PROCESSES = 2  # one for each core of the machine that this is made for


class PeerFailed(Exception):
    """The peer's process said so, or ended."""


class Worker:
    """One process of a peer."""

    def __init__(
        self, driver: str, python: Path, settings: dict[str, Any], *, log: Path, environment: dict[str, str]
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [str(python), "-m", "tests.peers.worker", driver],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, cwd=CHECKOUT,
                env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
        self._write(settings)

    def _write(self, value: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def begin(self, order: str, **arguments: Any) -> None:
        """Hand over an order; `end` waits for its answer."""
        self._write({"order": order, **arguments})

    def end(self) -> Any:
        """The answer to the last order. Raises PeerFailed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            tail = self.log.read_text(errors="replace").splitlines()[-6:]
            raise PeerFailed(f"the process ended: {tail}")
        answer = json.loads(line)
        if "failed" in answer:
            raise PeerFailed(answer["failed"])
        return answer["answer"]

    def ask(self, order: str, **arguments: Any) -> Any:
        """An order and its answer."""
        self.begin(order, **arguments)
        return self.end()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        self._hang_up()

    def close(self) -> None:
        """Let it end with its input."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._hang_up()

    def _hang_up(self) -> None:
        for end in (self.process.stdin, self.process.stdout):
            if end is not None and not end.closed:
                end.close()


def share_load(
    workers: Sequence[Worker], *, wallets: Sequence[str], clients: int, seconds: float, tag: str
) -> dict[str, Any]:
    """Spread the clients over the processes, run them at the same time, and add up what they saw."""
    busy = workers[: min(len(workers), clients)]
    at = time.time() + 0.2
    for place, worker in enumerate(busy):
        part = clients // len(busy) + (place < clients % len(busy))
        worker.begin(
            "load", wallets=list(wallets), clients=part, seconds=seconds, at=at, tag=f"{tag}.{place}"
        )
    found = [worker.end() for worker in busy]
    errors: Counter[str] = Counter()
    for one in found:
        errors.update(one["errors"])
    return {
        "lifecycles": sum(one["lifecycles"] for one in found),
        "calls": [seconds for one in found for seconds in one["calls"]],
        "refused": sum(one.get("refused", 0) for one in found),
        "errors": dict(errors),
        "seconds": max(one["seconds"] for one in found),
        "cpu": sum(one["cpu"] for one in found),
    }

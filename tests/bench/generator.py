"""Starts the load generator, in C where it can be compiled and else in Python, and reads what it found."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from sandbox.places import CHECKOUT
from sandbox.places import home as state_home

SOURCE = Path(__file__).with_name("load.c")
FOLDER = (
    state_home().resolve() / "bench"
)  # at import: later this process has the state folder of its database
PYTHON = [sys.executable, "-m", "tests.bench.load"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the generator is to do: `clients` in a closed loop, or with a `rate` that many lifecycles per second.

    A lenient one counts refusals by their status and goes on; otherwise a refusal ends it with an error.
    """

    port: int
    secrets: Sequence[str]
    name: str
    seconds: float
    clients: int
    rate: float = 0
    seed: int = 0
    lenient: bool = False

    def arguments(self) -> list[str]:
        """The command line of either generator."""
        numbers = (self.port, self.clients, f"{self.seconds:.3f}", f"{self.rate:.3f}")
        return [*map(str, numbers), self.name, str(self.seed), "1" if self.lenient else "0"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run found: seconds of each call, answers by status, the generator's own CPU seconds."""

    seconds: float
    cpu: float
    retried: int
    unfinished: int
    statuses: dict[str, int]
    reserve: list[float]
    commit: list[float]


@cache
def program() -> list[str]:
    """The generator's command: compiled once for each version of its source."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        return PYTHON
    target = FOLDER / f"load-{sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-O2", "-o", f"{target}.new", str(SOURCE), "-lm"]
        if subprocess.run(command, capture_output=True).returncode:
            return PYTHON  # a compiler without headers or of another kind
        Path(f"{target}.new").replace(target)
    return [str(target)]


def start(order: Order, *, command: list[str] | None = None) -> "subprocess.Popen[str]":
    """Start a generator and hand it the keys; `finish` waits for it."""
    process = subprocess.Popen(
        [*(command or program()), *order.arguments()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("\n".join(order.secrets) + "\n")
    process.stdin.close()  # the end of the keys starts it
    process.stdin = None
    return process


def finish(process: "subprocess.Popen[str]") -> Found:
    """Wait for a generator and return what it found. Raises RuntimeError with what it said when it failed."""
    output, complaint = process.communicate()
    if process.returncode:
        raise RuntimeError(f"The load generator failed:\n{complaint[-2000:]}")
    return Found(**json.loads(output))


def generate(order: Order, *, command: list[str] | None = None) -> Found:
    """Run a generator from start to end."""
    return finish(start(order, command=command))

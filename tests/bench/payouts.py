"""What partners' money costs after few earnings and after many: settling, withdrawable-now, statements and batches.

Two databases with the same partners, callers and days: one as the gate and the operations made it, one in which what
was used stands many times. A process for each; the rounds go from one to the other, step by step.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any, Final

from sandbox.children import ChildSpec
from sandbox.places import CHECKOUT, free_port
from tests.bench.earnings import Market, multiply
from tests.bench.growth import nobody_connected
from tests.bench.place import Place
from tests.bench.proofs import ProofFailed
from tests.servers import serving, stripe_spec

STEPS: Final = ("settle", "withdrawable", "statement", "batch")


class Paying:
    """A process that works in one of the databases; see `tests.bench.paying`."""

    def __init__(self, place: Place, name: str, address: str) -> None:
        command = [sys.executable, "-m", "tests.bench.paying", str(place.postmaster), address]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT,
            env={**os.environ, **place.environment(name)},
        )  # fmt: skip

    def ask(self, word: str, *given: Any) -> Any:
        """Give an order and return its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([word, *given]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{word} failed: the process ended with {self.process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process: it ends with its input."""
        self.process.communicate(timeout=60)


class Payouts:
    """CPU of each step at both sizes, and the ratio of a round."""

    name = "payouts"
    against: tuple[str, ...] = ()

    def __init__(self, place: Place, *, partners: int, few: int, many: int) -> None:
        self.sizes = few, many
        self._stack = ExitStack()
        self.close = self._stack.close
        try:
            self.few, self.many = self._make(place, partners)
        except BaseException:
            self.close()
            raise

    def run(self, seconds: float) -> dict[str, float]:
        """One round; how long it takes is said by the sizes."""
        found: dict[str, float] = {}
        few, many = self.sizes
        for one in (self.few, self.many):
            one.ask("call")
        for step in STEPS:
            less, more = self.few.ask(step), self.many.ask(step)
            found |= {
                f"payouts.{step}.{few}_cpu_ms": less["cpu_s"] * 1_000,
                f"payouts.{step}.{many}_cpu_ms": more["cpu_s"] * 1_000,
                f"payouts.{step}.many_over_few": more["cpu_s"] / max(less["cpu_s"], 1e-9),
            }
        return found

    def pay(self) -> dict[str, float]:
        """Pay everybody where there are many earnings, and prove both databases. Raises ProofFailed."""
        found: dict[str, float] = self.many.ask("pay")
        for one in (self.few, self.many):
            broken = one.ask("prove")
            if broken:
                raise ProofFailed("\n".join(broken[:20]))
        return {f"payouts.batch.{self.sizes[1]}_{name}": value for name, value in found.items()}

    def _make(self, place: Place, partners: int) -> tuple[Paying, Paying]:
        few, many = self.sizes
        spec = self._simulator(place)
        self._stack.enter_context(serving(spec, folder=place.folder / "payouts-log"))
        name = place.clone("few_earnings")
        maker = Paying(place, name, self.address)
        made = maker.ask("make", partners, few)
        maker.close()
        with nobody_connected():
            copied = place.clone("many_earnings", template="few_earnings")
        with place.superuser(copied) as connection:
            multiply(connection, Market.of_json(made), copies=many // few - 1)
        less, more = (self._process(place, one) for one in (name, copied))
        earned = [one.ask("take", made) for one in (less, more)]
        if earned[1] != earned[0] * (many // few):
            raise RuntimeError(f"The copies earned {earned[1]}, the originals {earned[0]}")
        return less, more

    def _process(self, place: Place, name: str) -> Paying:
        made = Paying(place, name, self.address)
        self._stack.callback(made.close)
        return made

    def _simulator(self, place: Place) -> ChildSpec:
        self.address = f"http://127.0.0.1:{free_port()}"
        return stripe_spec(self.address, place.folder / "stripe-connect")

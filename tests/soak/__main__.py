"""`make soak`: the proofs of replay, concurrency, crash, order, model, runaways, thirteen months of
billing, billing runs killed at every statement, partners' money in any order, a storm of Stripe's events, killed
senders of commands and planted differences at full size.

`python -m tests.soak model replay --attempts 5000 --seed 7` runs some of them, smaller, with a seed of one's own.
Each is the same test that CI runs small; size, seed, seconds and outcome of each stand in `var/soak/latest.json`.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.places import CHECKOUT, write_json
from sandbox.places import home as state_home


@dataclass(frozen=True)
class Proof:
    """One proof: the tests, and the variables that tell them their size and seed."""

    name: str
    tests: tuple[str, ...]
    size: dict[str, int]
    seed: int

    def command(self) -> list[str]:
        """How it is run."""
        seeds = (f"--hypothesis-seed={self.seed}", f"--randomly-seed={self.seed}")
        return [
            sys.executable,
            "-m",
            "tests.run",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "tests.soak.rounds",
            *seeds,
            *self.tests,
        ]

    def environment(self) -> dict[str, str]:
        """Ours, with the proof's size and seed."""
        return {
            **os.environ,
            **{name: str(value) for name, value in self.size.items()},
            "SOAK_SEED": str(self.seed),
        }


def proofs(given: argparse.Namespace, seed: int) -> list[Proof]:
    """Every proof at the size that was asked for."""
    return [
        Proof(
            "model",
            ("tests/property/gate",),
            {"MODEL_OPERATIONS": given.operations, "MODEL_CHECK_EVERY": 10},
            seed,
        ),
        Proof(
            "replay",
            ("tests/concurrency/gate/test_exact_replay.py",),
            {"REPLAY_ATTEMPTS": given.attempts},
            seed,
        ),
        Proof(
            "controls",
            ("tests/concurrency/gate/test_controls_under_load.py",),
            {"CONTROLS_ATTEMPTS": given.attempts},
            seed,
        ),
        Proof("concurrency", ("tests/concurrency",), {"SOAK_ROUNDS": given.rounds}, seed),
        Proof("order", ("tests/integration/events/test_reader.py",), {"SOAK_ROUNDS": given.rounds}, seed),
        Proof("crash", ("tests/crash",), {"CRASH_ROUNDS": given.kills}, seed),
        Proof(
            "runaways",
            ("tests/functional/gate/test_runaways.py",),
            {"RUNAWAY_CALLS": given.calls, "RUNAWAY_CLIENTS": given.clients},
            seed,
        ),
        Proof(
            "billing",
            ("tests/property/billing/test_thirteen_months.py",),
            {"BILLING_CUSTOMERS": given.customers},
            seed,
        ),
        Proof(
            "billing_killed",
            ("tests/integration/billing/test_killed_runs.py",),
            {"FULL": 1},
            seed,
        ),
        Proof(
            "partners",
            ("tests/property/payouts/test_money_of_partners.py",),
            {"PARTNER_STEPS": 60, "PARTNER_EXAMPLES": given.examples},
            seed,
        ),
        Proof(
            "webhooks",
            ("tests/concurrency/webhooks/test_storm.py",),
            {"STORM_CUSTOMERS": given.payers, "STORM_PAYMENTS": 7, "STORM_KILLS": given.payers * 4},
            seed,
        ),
        Proof(
            "commands",
            (
                "tests/integration/billing/test_killed_commands.py",
                "tests/integration/payouts/test_killed_payouts.py",
            ),
            {"FULL": 1},
            seed,
        ),
        Proof(
            "reconciliation",
            ("tests/functional/reconciliation",),
            {
                "RECONCILIATION_EACH": given.differences // 6,
                "RECONCILIATION_KILL_EACH": 2,
                "RECONCILIATION_CUSTOMERS": given.payers,
            },
            seed,
        ),
    ]


def run(proof: Proof) -> dict[str, Any]:
    """Run one proof and say what came of it."""
    print(f"\n{proof.name}: {proof.size}, seed {proof.seed}", flush=True)
    started = time.monotonic()
    code = subprocess.run(proof.command(), cwd=CHECKOUT, env=proof.environment()).returncode
    return {
        "size": proof.size,
        "seed": proof.seed,
        "seconds": round(time.monotonic() - started, 1),
        "passed": code == 0,
    }


def main() -> int:
    """Run the proofs that the command line names, all without one; write the file after each."""
    given = _arguments()
    seed = given.seed if given.seed is not None else secrets.randbits(32)
    chosen = [proof for proof in proofs(given, seed) if not given.proofs or proof.name in given.proofs]
    path = state_home().resolve() / "soak" / "latest.json"
    told: dict[str, Any] = {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "proofs": {}}
    for proof in chosen:
        told["proofs"][proof.name] = run(proof)
        write_json(path=path, value=told)
    _show(told["proofs"], path)
    return 0 if all(outcome["passed"] for outcome in told["proofs"].values()) else 1


def _show(outcomes: dict[str, dict[str, Any]], path: Path) -> None:
    print()
    for name, outcome in outcomes.items():
        word = "held" if outcome["passed"] else "BROKEN"
        print(f"{name:<14} {word:<7} {outcome['seconds']:>8.1f} s  seed {outcome['seed']}  {outcome['size']}")
    print(f"\n{path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "proofs",
        nargs="*",
        metavar="proof",
        help="of: model replay controls concurrency order crash runaways billing billing_killed partners "
        "webhooks commands reconciliation; all of them",
    )
    parser.add_argument("--operations", type=int, default=100_000, help="of the model")
    parser.add_argument(
        "--attempts", type=int, default=100_000, help="to reserve, of the replay and of the controls"
    )
    parser.add_argument("--rounds", type=int, default=20, help="of every test of concurrency and order")
    parser.add_argument(
        "--kills", type=int, default=25, help="rounds of kills; each process dies twice in one"
    )
    parser.add_argument("--calls", type=int, default=5_000, help="that each runaway makes")
    parser.add_argument("--clients", type=int, default=64, help="that each runaway has at once")
    parser.add_argument("--customers", type=int, default=200, help="that live thirteen months, of billing")
    parser.add_argument("--examples", type=int, default=100, help="of sixty steps each, of partners")
    parser.add_argument(
        "--payers", type=int, default=25, help="whose thousand events come in a storm, of webhooks"
    )
    parser.add_argument(
        "--differences", type=int, default=1_020, help="that are planted, of six classes, of reconciliation"
    )
    parser.add_argument("--seed", type=int, default=None, help="another one each time unless given")
    given = parser.parse_args()
    unknown = set(given.proofs) - {proof.name for proof in proofs(given, 0)}
    if unknown:
        parser.error(f"there is no proof called {', '.join(sorted(unknown))}")
    return given


if __name__ == "__main__":
    sys.exit(main())

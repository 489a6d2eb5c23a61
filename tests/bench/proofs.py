"""How fast the proofs are: `verify_ledger` over all sealed facts, `rebuild --check` over all events."""

import json
import os
import subprocess
import sys
from typing import Any

from sandbox.places import CHECKOUT


class ProofFailed(Exception):
    """The benchmarks' own database did not verify: whatever was measured is worth nothing."""


def verify_entries_per_second() -> float:
    """Seal what is not sealed, verify everything, and return journal entries per second."""
    manage("run_due")
    found = manage("verify_ledger", "--json")
    entries: int = found["counts"].get("journal_entries", found["counts"].get("entries", 0))
    return entries / max(float(found["seconds"]), 1e-9)


def rebuild_events_per_second() -> float:
    """Replay all events, compare the projections, and return events per second of the replay."""
    return float(manage("rebuild", "--check", "--json")["events_per_s"])


def manage(command: str, *arguments: str) -> Any:
    """Run a management command on the main database; with arguments, return the JSON that it prints."""
    answer = subprocess.run(
        [sys.executable, "manage.py", command, *arguments],
        cwd=CHECKOUT, env=dict(os.environ), capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode:
        raise ProofFailed(f"{command}:\n{answer.stdout[-3000:]}{answer.stderr[-3000:]}")
    return json.loads(answer.stdout.splitlines()[-1]) if arguments else None

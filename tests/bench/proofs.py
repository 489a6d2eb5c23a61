"""How fast the proofs are: `verify_ledger` over all sealed facts, `rebuild --check` over all events."""

import io
import json
from typing import Any

from django.core.management import CommandError, call_command


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
    output = io.StringIO()
    try:
        call_command(command, *arguments, stdout=output, stderr=output)
    except CommandError as error:
        raise ProofFailed(f"{command}: {error}\n{output.getvalue()[-3000:]}") from error
    return json.loads(output.getvalue().splitlines()[-1]) if arguments else None

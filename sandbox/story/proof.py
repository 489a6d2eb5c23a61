"""Proof beside the API: the read-only views of the database, and the commands that recompute everything."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import psycopg

from sandbox.places import CHECKOUT

LONGEST_COMPLAINT = 3_000
LAYERS = """
SELECT scope, target, amount_limit, spent, held FROM v_budgets WHERE organization = %s AND budget_id = ANY(%s)
ORDER BY array_position(ARRAY['run', 'agent', 'organization'], scope), spent DESC
"""
USAGE = """
SELECT count(*), coalesce(sum(charge), 0)::bigint FROM v_usage WHERE organization = %s AND outcome <> 'blocked'
"""
BLOCKED = """
SELECT coalesce(sum(charge + cost), 0)::bigint FROM v_usage WHERE organization = %s AND outcome = 'blocked'
"""
DENIALS = """
SELECT coalesce(sum(count), 0)::bigint FROM v_decisions WHERE organization = %s AND answer = 'deny'
"""
ACCOUNTS = """
SELECT account_kind, posted, held FROM v_balances WHERE organization = %s AND (posted <> 0 OR held <> 0)
ORDER BY posted DESC
"""
UNBALANCED = """
SELECT count(*) FROM (SELECT 1 FROM v_postings WHERE organization = %s
    GROUP BY entry_id, currency HAVING sum(amount) <> 0) AS wrong
"""
ENTRIES = "SELECT count(*), count(DISTINCT idempotency_key) FROM v_entries WHERE organization = %s"


class Books:
    """What the read-only role sees of one organization; amounts in units."""

    def __init__(self, *, url: str, organization: str, budgets: Iterable[str]) -> None:
        self._url = url
        self._organization = UUID(organization)
        self._budgets = [UUID(budget) for budget in budgets]

    def layers(self) -> list[tuple[str, str, int, int, int]]:
        """Return (scope, target, limit, spent, held) of the windows of every budget that is enforced."""
        return self._rows(LAYERS, self._budgets)

    def usage(self) -> tuple[int, int]:
        """Return how many usage records there are, and the sum of their charges."""
        records, charges = self._rows(USAGE)[0]
        return records, charges

    def blocked_charges(self) -> int:
        """Return what refused calls were charged."""
        amount: int = self._rows(BLOCKED)[0][0]
        return amount

    def denials(self) -> int:
        """Return how many calls were refused, by the decisions that they left."""
        count: int = self._rows(DENIALS)[0][0]
        return count

    def accounts(self) -> list[tuple[str, int, int]]:
        """Return (kind, posted, held) of every ledger account that is not empty."""
        return self._rows(ACCOUNTS)

    def unbalanced_entries(self) -> int:
        """Return how many journal entries do not sum to zero."""
        count: int = self._rows(UNBALANCED)[0][0]
        return count

    def entries(self) -> tuple[int, int]:
        """Return how many journal entries there are, and how many different effects they stand for."""
        entries, effects = self._rows(ENTRIES)[0]
        return entries, effects

    def _rows(self, statement: str, *more: Any) -> list[Any]:
        with psycopg.connect(self._url) as connection:
            return connection.execute(statement.encode(), (self._organization, *more)).fetchall()


def run_command(*arguments: str, environment: Mapping[str, str]) -> tuple[bool, str]:
    """Run a management command; return whether it ended well, and its first line or all that was wrong."""
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "manage.py", *arguments]
    answer = subprocess.run(
        command, cwd=CHECKOUT, env=dict(environment), capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if answer.returncode:
        return (
            False,
            f"exit status {answer.returncode}:\n{(answer.stdout + answer.stderr)[-LONGEST_COMPLAINT:]}",
        )
    lines = answer.stdout.strip().splitlines()
    return True, lines[0] if lines else ""

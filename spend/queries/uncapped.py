"""Targets that no budget in money limits (S44): the first cause of a runaway bill."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from spend.rules.budgets import MONEY_FREE_UNITS

_TARGETS: Final = """
SELECT 'team', id, key, NULL::uuid FROM teams WHERE organization = %(o)s AND archived_at IS NULL
UNION ALL SELECT 'agent', id, key, team_id FROM agents WHERE organization = %(o)s AND archived_at IS NULL
UNION ALL SELECT 'workflow', id, key, NULL FROM workflows WHERE organization = %(o)s AND archived_at IS NULL
UNION ALL SELECT 'connection', id, key, NULL FROM connections WHERE organization = %(o)s AND archived_at IS NULL
UNION ALL SELECT 'organization', %(o)s::uuid, NULL, NULL
ORDER BY 1, 3
"""
_CAPS: Final = """
SELECT DISTINCT scope, target_id, target_label FROM budgets
WHERE organization = %s AND archived_at IS NULL AND mode = 'enforce' AND NOT unit = ANY(%s)
"""


class Uncapped(NamedTuple):
    """A target without a budget of its own scope; `covered_by` are wider scopes that still limit it."""

    scope: str
    target_id: UUID | None
    target: str | None
    covered_by: list[str]

    @property
    def window(self) -> str:
        """The window that a cap for it would usually have: of a run the run itself, else a day."""
        return "run" if self.scope == "run" else "day"

    def fix(self, currency: str) -> dict[str, Any]:
        """Return the one call that caps it, complete but for the limit, which only its owner knows."""
        body = {"scope": self.scope, "window": self.window, "currency": currency}
        if self.target is not None:
            body["target"] = self.target
        return {"method": "POST", "path": "/v1/budgets", "body": body, "add": ["limit"]}


def uncapped_targets(cur: Cursor, *, organization: UUID) -> list[Uncapped]:
    """Return the teams, agents, workflows, connections, the organization itself, and runs and users as such, that no
    enforced budget in money of their own scope limits; those that nothing wider limits either come first."""
    cur.execute(_CAPS, (organization, sorted(MONEY_FREE_UNITS)))
    caps: set[tuple[Any, ...]] = set(cur.fetchall())
    everyone = {scope for scope, target, label in caps if target is None and label is None}
    named = {(scope, target) for scope, target, _ in caps if target is not None}
    whole = ["organization"] if "organization" in everyone else []
    cur.execute(_TARGETS, {"o": organization})
    found = []
    for scope, target_id, key, team in cur.fetchall():
        if scope in everyone or (scope, target_id) in named:
            continue
        teamed = team is not None and ("team" in everyone or ("team", team) in named)
        covered = ([] if scope == "organization" else whole) + (["team"] if teamed else [])
        found.append(Uncapped(scope, target_id, key, covered))
    found += [Uncapped(scope, None, None, list(whole)) for scope in ("run", "user") if scope not in everyone]
    return sorted(found, key=lambda row: len(row.covered_by))

"""What the gate answered (S47), in order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from spend.queries.naming import DECISIONS_OF_RUN, Conditions, NamedRun, objects
from spend.queries.observed import IS_OBSERVED

ANSWERS: Final = ("allow", "allow_with_caps", "deny")
_READ: Final = """
SELECT x.id, x.at, x.answer, x.code, x.count, x.dry, x.requested, x.reservation_id AS reservation,
    x.binding_scope, x.binding_budget, x.binding_version, x.detail::text AS detail, a.key AS agent,
    COALESCE(r.key, x.detail->>'run') AS run, o.currency, v.funding
FROM decisions x JOIN organizations o ON o.id = x.organization
LEFT JOIN agents a ON a.id = x.agent_id LEFT JOIN runs r ON r.id = x.run_id
LEFT JOIN reservations v ON v.organization = x.organization AND v.id = x.reservation_id
"""


class DecisionFilter(NamedTuple):
    """Which decisions a list shows; None: all. `start` and `end` are a period of the business clock; `only_agents`: of
    no others, and none without an agent."""

    run: NamedRun | None = None
    agent_id: UUID | None = None
    answer: str | None = None
    code: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    only_agents: Sequence[UUID] | None = None
    observed: bool | None = None


def list_decisions(
    cur: Cursor,
    *,
    organization: UUID,
    wanted: DecisionFilter,
    position: UUID | None,
    limit: int,
    newest_first: bool = False,
) -> list[dict[str, Any]]:
    """Return up to `limit` decisions after `position`, in the order in which they were made, or newest first.

    Decisions of a run include the denials before its first accepted call. `requested` is in the unit of the binding
    budget, else in units of 10^-8.
    """
    clause = Conditions(organization=organization, limit=limit)
    clause.add("x.id < %(position)s" if newest_first else "x.id > %(position)s", "position", position)
    if wanted.run is not None:
        clause.add(DECISIONS_OF_RUN, "key", wanted.run.key)
        clause.values["run"] = wanted.run.id
    clause.add("x.agent_id = %(agent)s", "agent", wanted.agent_id)
    clause.add("x.agent_id = ANY(%(only)s)", "only", wanted.only_agents)
    clause.add("x.answer = %(answer)s", "answer", wanted.answer)
    clause.add("x.code = %(code)s", "code", wanted.code)
    clause.add("x.at >= %(start)s", "start", wanted.start)
    clause.add("x.at < %(end)s", "end", wanted.end)
    if wanted.observed is not None:
        clause.parts.append(IS_OBSERVED if wanted.observed else f"NOT ({IS_OBSERVED})")
    order = "DESC" if newest_first else "ASC"
    where = clause.where("x.organization = %(organization)s")
    cur.execute(_READ + where + f" ORDER BY x.id {order} LIMIT %(limit)s", clause.values)
    return objects(cur, parsed=("detail", "funding"))

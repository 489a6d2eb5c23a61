"""What was charged in a period by what paid for it: the receipts of usage records, added up (S9, S75)."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from ledger.rules.grants import SOURCES
from orgs.rules.permissions import NO_LIMITS, KeyLimits
from spend.queries.attribution import attribute
from spend.queries.periods import BEGINNING, recorded_since

PAYERS: Final = (*SOURCES, "postpaid", "debt")
"""Everything that a receipt may name, in the order in which it is taken."""
_END: Final = datetime(9998, 1, 1, tzinfo=UTC)
_SUMS: Final = """
SELECT part->>0, sum((part->>2)::bigint) FROM usage_records x CROSS JOIN LATERAL json_array_elements(x.funding) AS part
WHERE x.organization = %(organization)s AND x.occurred_at >= %(start)s AND x.occurred_at < %(end)s
    AND x.id >= %(first_id)s AND x.recorded_at >= %(recorded)s
    AND (%(agents)s::uuid[] IS NULL OR x.agent_id = ANY(%(agents)s))
    AND (%(connections)s::uuid[] IS NULL OR x.connection_id = ANY(%(connections)s))
GROUP BY 1
"""


class FundingSums(NamedTuple):
    """Charges by payer, in order; what is kept of retired records without a receipt; and all of it. Units."""

    by_source: dict[str, int]
    retired: int
    total: int


def funding_sums(
    cur: Cursor,
    *,
    organization: UUID,
    start: datetime | None,
    end: datetime | None,
    limits: KeyLimits = NO_LIMITS,
) -> FundingSums:
    """Return what paid for the usage that occurred in [start, end); the parts sum to exactly its charge.

    Of months whose records were retired only the charge is known. For a limited key it is the usage of what the key is
    for. One snapshot: call it first in its transaction.
    """
    total = attribute(
        cur, organization=organization, dimension="provider", start=start, end=end, limits=limits
    ).total["charge"]
    first = start or BEGINNING
    recorded = recorded_since(cur, organization, first)
    given: dict[str, Any] = {
        "organization": organization,
        "start": first,
        "end": end or _END,
        "recorded": recorded.at,
        "first_id": recorded.first_id,
        "agents": limits.ids("agent"),
        "connections": limits.ids("connection"),
    }
    found: dict[str, int] = defaultdict(int)
    for source, amount in cur.execute(_SUMS, given).fetchall():
        found[source] = int(amount)
    by_source = {source: found[source] for source in PAYERS}
    return FundingSums(by_source, total - sum(by_source.values()), total)

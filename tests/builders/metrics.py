"""Revenue metrics as the platform reads them."""

import time
from typing import Any
from uuid import UUID

from events.store import Cursor
from payouts.operations.metrics.rebuilding import catch_up
from payouts.queries.metrics.integrity import Broken, violations
from tests.builders.books import rows
from tests.builders.orgs import platform, write

PATH = "/v1/metrics"
_MOVEMENTS = """
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), kind, amount / 1000000 FROM mrr_movements WHERE organization = %s
    AND at < %s ORDER BY at, source
"""
_FOREVER = "infinity"


def read_all() -> None:
    """Have the reader see all that happened until now. It passes by what is newer than the oldest transaction that
    runs anywhere in the cluster, other tests' too, so that is waited for."""
    ((now,),) = rows("SELECT pg_current_xact_id()::text::bigint")
    deadline = time.monotonic() + 30
    horizon = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    while rows(horizon)[0][0] <= now:
        assert time.monotonic() < deadline, "A transaction of another test has not ended for 30 s."
        time.sleep(0.02)
    catch_up()


def metric(name: str, organization: UUID | None = None, **given: Any) -> list[dict[str, Any]]:
    """The rows of a report, after the reader has seen all that happened."""
    read_all()
    if organization is not None:
        given["organization"] = str(organization)
    answer = platform().get(f"{PATH}/{name}", **given)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def only(name: str, organization: UUID, **given: Any) -> dict[str, Any]:
    """The one row of a report of one customer."""
    (row,) = metric(name, organization, **given)
    return row


def moved(organization: UUID, before: Any = _FOREVER) -> list[tuple[str, str, int]]:
    """A customer's movements as (day, kind, cents)."""
    read_all()
    return [tuple(row) for row in rows(_MOVEMENTS, organization, before)]


def broken(*organizations: UUID) -> list[Broken]:
    """What does not hold of the metrics of these customers."""
    read_all()

    def read(cur: Cursor) -> list[Broken]:
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return violations(cur)

    return [one for one in write(read) if one.organization in organizations]


def kept_rows(organization: UUID) -> list[list[tuple[Any, ...]]]:
    """All rows of the metrics of one customer."""
    tables = ("recurring_levels", "recurring_commitments", "mrr_movements", "revenue_days")
    return [
        sorted(map(tuple, rows(f"SELECT * FROM {table} WHERE organization = %s", organization)), key=str)
        for table in tables
    ]

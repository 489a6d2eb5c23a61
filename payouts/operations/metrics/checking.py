"""The nightly check of revenue metrics: what does not hold becomes a finding, and what holds again settles it."""

from collections.abc import Collection
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.findings import open_finding, resolve_open
from billing.queries.findings import list_findings
from billing.rules.findings import OPEN
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from payouts.operations.metrics.rebuilding import catch_up
from payouts.queries.metrics.integrity import Broken, violations

AUTHOR: Final = Author("system:metrics")
KIND: Final = "revenue_metrics"
"""The kind of its findings."""
MOST: Final = 1_000
"""So many findings are opened and looked at in one night: one defect breaks many months."""
_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def check_metrics() -> int:
    """This function will check V1 to V4 of revenue metrics in one snapshot and return how many findings are open then.

    What is broken is a finding of its customer, or of the platform; one that was opened before stays the same, and one
    whose identity holds again is settled. Run twice it changes nothing.
    """
    catch_up()
    broken = run_in_transaction(_broken)
    for one in broken[:MOST]:
        run_in_transaction(partial(_open, broken=one))
    known = {(one.organization or PLATFORM_ID, one.subject) for one in broken}
    for organization, subject in run_in_transaction(partial(_settled, known=known)):
        run_in_transaction(partial(_resolve, organization=organization, subject=subject))
    return len(broken)


def _broken(cur: Cursor) -> list[Broken]:
    cur.execute(_SNAPSHOT)
    return violations(cur)


def _open(cur: Cursor, *, broken: Broken) -> None:
    detail = {"identity": broken.identity, "detail": broken.detail}
    open_finding(
        cur, organization=broken.organization, kind=KIND, subject=broken.subject, detail=detail, author=AUTHOR
    )


def _settled(cur: Cursor, *, known: Collection[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
    found = list_findings(
        cur, organization=None, status=OPEN, kind=KIND, subject=None, before=None, limit=MOST
    )
    places = [(one.organization, one.subject) for one in found]
    return [place for place in places if place not in known]


def _resolve(cur: Cursor, *, organization: UUID, subject: str) -> None:
    resolve_open(
        cur, organization=organization, kind=KIND, subject=subject, reason="It holds again.", author=AUTHOR
    )

"""Organizations, read without a lock."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor

_READ: Final = (
    "SELECT id, name, currency, time_zone, funding, credit_limit, status, is_platform, sandbox, created_at "
    "FROM organizations"
)


class OrganizationRow(NamedTuple):
    """An organization as it is shown; `credit_limit` in units of 10^-8."""

    id: UUID
    name: str
    currency: str
    time_zone: str
    funding: str
    credit_limit: int | None
    status: str
    is_platform: bool
    sandbox: bool
    created_at: datetime


def find_organization(cur: Cursor, *, organization: UUID) -> OrganizationRow:
    """Return an organization. Raises NotFound."""
    row = cur.execute(_READ + " WHERE id = %s", (organization,)).fetchone()
    if row is None:
        raise NotFound("There is no such organization.")
    return OrganizationRow(*row)


def clock_of(cur: Cursor, *, organization: UUID) -> tuple[datetime, int]:
    """Return what an organization's business clock shows, without a lock (for showing, never for deciding), and how
    many seconds it is ahead of the wall clock. Raises NotFound."""
    row = cur.execute(
        "SELECT clock_timestamp() + clock_offset, extract(epoch FROM clock_offset)::bigint"
        " FROM organizations WHERE id = %s",
        (organization,),
    ).fetchone()
    if row is None:
        raise NotFound("There is no such organization.")
    return row[0], row[1]


def organizations_named(cur: Cursor, name: str) -> list[UUID]:
    """Return the ids of up to ten organizations with exactly this name, oldest first."""
    rows = cur.execute(
        "SELECT id FROM organizations WHERE name = %s ORDER BY id LIMIT 10", (name,)
    ).fetchall()
    return [row[0] for row in rows]


def list_organizations(
    cur: Cursor, *, only: UUID | None, before: UUID | None, limit: int
) -> list[OrganizationRow]:
    """Return up to `limit` organizations, newest first, made before `before`; `only`: at most this one."""
    cur.execute(
        _READ + " WHERE (%(only)s::uuid IS NULL OR id = %(only)s) "
        "AND (%(before)s::uuid IS NULL OR id < %(before)s) "
        "ORDER BY id DESC LIMIT %(limit)s",
        {"only": only, "before": before, "limit": limit},
    )
    return [OrganizationRow(*row) for row in cur.fetchall()]

"""Whom rate limits are for: what a threshold that names one is checked against."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from events.store import Cursor


class NamedLimit(NamedTuple):
    """A rate limit's scope and target."""

    scope: str
    target_id: UUID | None
    target_label: str | None
    archived: bool


def find_limits(cur: Cursor, *, organization: UUID, limits: Sequence[UUID]) -> dict[UUID, NamedLimit]:
    """Return those of these rate limits that the organization has, by id."""
    cur.execute(
        "SELECT id, scope, target_id, target_label, archived_at IS NOT NULL FROM rate_limits "
        "WHERE organization = %s AND id = ANY(%s)",
        (organization, list(limits)),
    )
    return {row[0]: NamedLimit(*row[1:]) for row in cur.fetchall()}

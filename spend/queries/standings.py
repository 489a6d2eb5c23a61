"""How a customer stands, as the gate and others read it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from events.store import Cursor
from spend.rules.limits import RateLimit
from spend.rules.standings import CLEAR, Standing, limit_of

_FIND: Final = """
SELECT s.standing, s.since, s.per_minute, s.case_id, s.spends_credit, o.time_zone, s.version
FROM standings s JOIN organizations o ON o.id = s.organization WHERE s.organization = %s
"""


def load_standing(cur: Cursor, organization: UUID) -> tuple[Standing | None, RateLimit | None]:
    """Return the standing of a customer in arrears, and the limit that throttling is; None for everybody else."""
    row = cur.execute(_FIND, (organization,)).fetchone()
    if row is None or row[0] == CLEAR:
        return None, None
    standing = Standing(*row[:5])
    return standing, limit_of(standing, organization, row[5])


def find_standing(cur: Cursor, organization: UUID) -> tuple[Standing | None, int]:
    """Return what was published last of an organization, and how often something was: None and 0 without any."""
    row = cur.execute(_FIND, (organization,)).fetchone()
    return (None, 0) if row is None else (Standing(*row[:5]), row[6])

"""Publishing how a customer stands down to the gate, which obeys from its next decision on (S91, S93)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

from common.errors import InvalidTransition
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact, id_text, time_text
from spend.queries.standings import find_standing
from spend.rules.standings import CLEAR, Standing, check_standing

STREAM: Final = "standing"


def publish_standing(
    cur: Cursor,
    *,
    organization: UUID,
    standing: str,
    per_minute: int | None = None,
    case: UUID | None = None,
    spends_credit: bool = False,
    author: Author,
) -> bool:
    """This function will say how a customer stands: clear, throttled (to `per_minute` new calls, in all), or suspended;
    whether that is something new.

    The gate's next decision obeys, in every process. A suspended customer makes no new calls; with `spends_credit`
    those that credit pays for which it bought. Reservations that are open commit, extend and release as ever, and
    nothing of what is held, granted or owed moves. `case` is what refusals name. Raises NotFound, InvalidField and
    InvalidTransition (the platform).
    """
    check_standing(standing, per_minute, spends_credit)
    locked = lock_organization(cur, organization)
    if locked.is_platform:
        raise InvalidTransition("The platform owes nobody.")
    found, version = find_standing(cur, organization)
    before = found or Standing(CLEAR, locked.now)
    wanted = Standing(standing, before.since, per_minute, None if standing == CLEAR else case, spends_credit)
    if wanted == before:
        return False
    if wanted.standing != before.standing:
        wanted = replace(wanted, since=locked.now)
    data = {
        "standing": wanted.standing,
        "since": time_text(wanted.since),
        "per_minute": per_minute,
        "case_id": id_text(case if wanted.case is not None else None),
        "spends_credit": spends_credit,
    }
    stream = uuid5(NAMESPACE_OID, f"{STREAM}:{organization}")
    record(
        cur, [Fact(organization, STREAM, stream, version + 1, "published", data, locked.now)], author=author
    )
    return True

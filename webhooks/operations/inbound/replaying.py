"""Letting a person have an event tried again: it is judged anew by today's code and effects stay one (S86)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from common.errors import InvalidTransition, NotFound
from events.store import Cursor
from webhooks.operations.inbound.storing import Arrived, judged, subject_text
from webhooks.rules.inbound.reading import read_event

ENDED: Final = ("parked", "quarantined", "dead", "ignored", "applied")
_FIND: Final = "SELECT state, body, source, via, secret FROM stripe_events WHERE id = %s FOR UPDATE"
_AGAIN: Final = """
UPDATE stripe_events SET state = %(state)s, reason = %(reason)s, detail = %(detail)s, kind = %(kind)s,
    object_id = %(object)s, subject = %(subject)s, attempts = 0, parkings = 0,
    next_at = CASE WHEN %(due)s THEN clock_timestamp() END,
    finished_at = CASE WHEN %(due)s THEN NULL ELSE clock_timestamp() END
WHERE id = %(id)s
"""
_NAMED: Final = """
SELECT id FROM stripe_events WHERE (%(event)s::text IS NULL OR event = %(event)s)
    AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s)) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
ORDER BY id LIMIT 10000
"""


def replay_event(cur: Cursor, *, identifier: UUID, author_name: str) -> str:
    """This function will have an event judged and worked on again, and return its new state.

    Safe at any time: what is applied is what the object is now, under keys of its effects. Raises NotFound, and
    InvalidTransition for one that is waiting for its turn or in work.
    """
    row = cur.execute(_FIND, (identifier,)).fetchone()
    if row is None:
        raise NotFound("There is no such event.")
    state, body, source, via, secret = row
    if state not in ENDED:
        raise InvalidTransition(f"The event is {state}: it is worked on by itself.")
    hint = read_event(bytes(body))
    found = judged(Arrived(hint, bytes(body), source, via, secret))
    cur.execute(
        _AGAIN,
        {
            "id": identifier, "state": found.state, "reason": found.reason, "detail": f"Replayed by {author_name}.",
            "kind": found.kind, "object": found.object_id, "due": found.state == "received",
            "subject": subject_text(hint.account, found.kind, found.object_id),
        },
    )  # fmt: skip
    return found.state


def events_named(
    cur: Cursor, *, event: str | None = None, states: tuple[str, ...] | None = None, reason: str | None = None
) -> list[UUID]:
    """Return the ids of events by Stripe's id, or by state and reason, the oldest first."""
    named = {"event": event, "states": None if states is None else list(states), "reason": reason}
    return [row[0] for row in cur.execute(_NAMED, named).fetchall()]

"""Storing events once, whichever way and how often they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from common.ids import new_id
from events.store import Cursor
from webhooks.operations.inbound.handlers import handled
from webhooks.rules.inbound.judging import CONNECT, PLATFORM, Judgement, judge
from webhooks.rules.inbound.reading import Hint

# Times are the database's; an event that somebody must look at is due at once. In the order of the unique key, so that
# two who store the same events do not wait for each other.
STORE: Final = """
INSERT INTO stripe_events (id, source, account, event, type, api_version, livemode, created, via, secret, body, kind,
    object_id, subject, state, reason, next_at, received_at, finished_at)
SELECT id, source, account, event, type, api_version, livemode, created, via, secret, body, kind, object_id, subject,
    state, reason, CASE WHEN state = 'received' THEN now END, now, CASE WHEN state = 'received' THEN NULL ELSE now END
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[], %s::timestamptz[],
    %s::text[], %s::smallint[], %s::bytea[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS given (id, source, account, event, type, api_version, livemode, created, via, secret, body, kind, object_id,
        subject, state, reason),
    clock_timestamp() AS now
ORDER BY account, source, event
ON CONFLICT (account, source, event) DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event with its bytes: how it came (delivery, list, objects), through which kind of endpoint, and which of the
    secrets it was signed with."""

    hint: Hint
    body: bytes
    source: str
    via: str
    secret: int | None = None


def judged(arrived: Arrived) -> Judgement:
    """What becomes of it, by the handlers that there are and the mode of our key."""
    return judge(arrived.hint, source=arrived.source, is_live=is_live(), handled=handled())


def is_live() -> bool:
    """Whether our key moves real money; without one the processor is the simulator."""
    return (settings.STRIPE_API_KEY or "").startswith(("sk_live_", "rk_live_"))


def source_of(account: str) -> str:
    """The kind of endpoint through which an account's events come."""
    return CONNECT if account else PLATFORM


def subject_text(account: str, kind: str, object_id: str) -> str:
    """What one worker at a time works on; empty where there is nothing to work on."""
    return f"{account}/{kind}:{object_id}" if kind else ""


def store_events(cur: Cursor, events: Sequence[Arrived]) -> int:
    """This function will store the events that are not stored yet, and return how many those were (S82)."""
    return cur.execute(STORE, store_columns([store_row(each) for each in events])).rowcount if events else 0


def store_columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The parameters of STORE: one list for each column."""
    return [list(column) for column in zip(*rows, strict=True)]


def store_row(arrived: Arrived) -> tuple[Any, ...]:
    """One event as STORE takes it; the first value is its new id."""
    hint, found = arrived.hint, judged(arrived)
    return (
        new_id(), arrived.source, hint.account, hint.event, hint.type, hint.version, hint.is_live, hint.created,
        arrived.via, arrived.secret, arrived.body, found.kind, found.object_id,
        subject_text(hint.account, found.kind, found.object_id), found.state, found.reason,
    )  # fmt: skip

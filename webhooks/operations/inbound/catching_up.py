"""What was never delivered, or answered and lost, is found in Stripe's list of events, or of the objects (S88).

Each account and group of types has a watermark: the newest event that is stored. Every five minutes the list is read
from there on; once a day what was made since three days before it is compared by id, too, for the list is not promised
to be in the order in which events can be seen. The list keeps 30 days: what is older is found by the objects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec
from django.conf import settings

from billing import stripe_gateway
from billing.stripe_gateway.lists import pages
from billing.stripe_gateway.pacing import paced
from common.clock import wall_now
from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor
from webhooks.operations.inbound.handlers import handled
from webhooks.operations.inbound.storing import Arrived, source_of, store_events
from webhooks.rules.inbound.judging import CONNECT
from webhooks.rules.inbound.reading import read_event
from webhooks.rules.inbound.routes import type_groups

logger = logging.getLogger(__name__)

OVERLAP: Final = timedelta(days=3)
SWEEP_EVERY: Final = timedelta(hours=24)
KEPT: Final = timedelta(days=30)
"""How long the list of events goes back."""
RUN: Final = timedelta(minutes=10)
LEASE_NAME: Final = "catch-up"

_TAKE: Final = """
INSERT INTO stripe_leases AS l (subject, token, leased_until) VALUES (%s, %s, clock_timestamp() + %s)
ON CONFLICT (subject) DO UPDATE SET token = EXCLUDED.token, leased_until = EXCLUDED.leased_until
WHERE l.leased_until <= clock_timestamp() RETURNING token
"""
_GIVE_BACK: Final = "DELETE FROM stripe_leases WHERE subject = %s AND token = %s"
_READ: Final = "SELECT event, created, swept_at FROM stripe_watermarks WHERE account = %s AND types = %s"
_MOVE: Final = """
INSERT INTO stripe_watermarks AS w (account, types, event, created, read_at, swept_at)
VALUES (%(account)s, %(types)s, %(event)s, %(created)s, clock_timestamp(),
    CASE WHEN %(swept)s THEN clock_timestamp() END)
ON CONFLICT (account, types) DO UPDATE SET event = coalesce(EXCLUDED.event, w.event),
    created = coalesce(EXCLUDED.created, w.created), read_at = EXCLUDED.read_at,
    swept_at = coalesce(EXCLUDED.swept_at, w.swept_at)
"""
_OBJECTS: Final[tuple[tuple[str, Callable[..., Iterator[Any]]], ...]] = (
    ("customer.created", stripe_gateway.list_customers),
    ("payment_intent.created", stripe_gateway.list_payments),
    ("charge.succeeded", stripe_gateway.list_charges),
    ("refund.created", stripe_gateway.list_refunds),
    ("charge.dispute.created", stripe_gateway.list_disputes),
    ("payout.created", stripe_gateway.list_payouts),
)
"""What is listed where events are gone, and the type of event that stands for an object of it."""

_accounts: Final[list[Callable[[Cursor], Iterable[str]]]] = []


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far one list was read, and when it was last compared with the days before."""

    account: str
    types: tuple[str, ...]
    event: str | None = None
    created: datetime | None = None
    swept_at: datetime | None = None

    @property
    def digest(self) -> str:
        """The name of the group of types: other types are another list."""
        return sha256(",".join(self.types).encode()).hexdigest()[:16]


def register_accounts(accounts: Callable[[Cursor], Iterable[str]]) -> None:
    """This function will have the events of these connected accounts listed, too."""
    _accounts.append(accounts)


def catch_up() -> int:
    """This function will store every event of Stripe's list that is not stored, and return how many those were.

    For the platform, then for each connected account. Does nothing without a key, and while another run is on its way.
    Raises ProcessorUnavailable and ProcessorRejected; what was stored before stays.
    """
    if not stripe_gateway.is_configured():
        return 0
    token = new_id()
    if not run_in_transaction(lambda cur: cur.execute(_TAKE, (LEASE_NAME, token, RUN)).fetchone()):
        return 0
    try:
        named = run_in_transaction(lambda cur: sorted({name for each in _accounts for name in each(cur)}))
        with paced():
            return _catch_up_account("") + sum(_catch_up_connected(account) for account in named)
    finally:
        run_in_transaction(lambda cur: cur.execute(_GIVE_BACK, (LEASE_NAME, token)))


def _catch_up_account(account: str) -> int:
    kinds = {kind for source, kind in handled() if source == CONNECT} if account else None
    return sum(_catch_up_list(account, group) for group in type_groups(kinds))


def _catch_up_connected(account: str) -> int:
    """One whose owner has cut us off, or that is gone, keeps no other waiting."""
    try:
        return _catch_up_account(account)
    except (stripe_gateway.NotAtProcessor, stripe_gateway.ProcessorRejected) as error:
        logger.warning("catch_up.account_refused", extra={"account": account, "error": str(error)})
        return 0


def catch_up_objects(
    *, created_from: datetime, account: str = "", types: Collection[str] | None = None
) -> int:
    """This function will have everything worked on that Stripe has since then, found by the objects: for what is older
    than the list of events. `types`: objects that these types of events speak of; None: all. Returns how many objects
    were not listed on this day before."""
    stored = 0
    for event_type, list_them in _OBJECTS:
        if types is not None and event_type not in types:
            continue
        found = list_them(created_from=created_from, account=account or None)
        for batch in pages(found):
            day = run_in_transaction(wall_now).date().isoformat()
            arrived = [_listed_object(view, event_type, account, day) for view in batch]
            stored += run_in_transaction(partial(store_events, events=arrived))
    return stored


def _catch_up_list(account: str, types: tuple[str, ...]) -> int:
    mark, now = run_in_transaction(lambda cur: (_watermark(cur, account, types), wall_now(cur)))
    stored = 0
    # A list in which nothing happens has an old event, and is read to its end each day: not that event's age counts.
    seen = mark.swept_at or mark.created
    if seen is not None and seen < now - KEPT:
        stored += catch_up_objects(created_from=seen - OVERLAP, account=account, types=types)
    if mark.event is not None:
        try:
            stored += _read_on(mark)
        except stripe_gateway.NotAtProcessor:  # the list has forgotten where we were
            return stored + _sweep(mark, now)
    if mark.swept_at is None or mark.swept_at <= now - SWEEP_EVERY:
        stored += _sweep(mark, now)
    return stored


def _read_on(mark: Watermark) -> int:
    """From the watermark towards the present; it moves with each batch, in the transaction that stores it."""
    stored = 0
    found = stripe_gateway.list_events(after=mark.event, types=mark.types, account=mark.account or None)
    for batch in pages(found):
        stored += run_in_transaction(partial(_store_and_move, mark=mark, batch=batch, newest=batch[-1]))
    return stored


def _sweep(mark: Watermark, now: datetime) -> int:
    """Everything since some days before the watermark, newest first; so it moves when all of it is stored."""
    start = max((mark.created or now) - OVERLAP, now - KEPT)
    found = stripe_gateway.list_events(created_from=start, types=mark.types, account=mark.account or None)
    stored, newest = 0, None
    for batch in pages(found):
        newest = newest or batch[0]
        stored += run_in_transaction(
            partial(store_events, events=[_listed(view, mark.account) for view in batch])
        )
    run_in_transaction(partial(_move, mark=mark, newest=newest, swept=True))
    return stored


def _store_and_move(cur: Cursor, *, mark: Watermark, batch: list[Any], newest: Any) -> int:
    stored = store_events(cur, [_listed(view, mark.account) for view in batch])
    _move(cur, mark=mark, newest=newest, swept=False)
    return stored


def _move(cur: Cursor, *, mark: Watermark, newest: Any, swept: bool) -> None:
    cur.execute(
        _MOVE,
        {
            "account": mark.account, "types": mark.digest, "swept": swept,
            "event": None if newest is None else newest.id, "created": None if newest is None else newest.created,
        },
    )  # fmt: skip


def _watermark(cur: Cursor, account: str, types: tuple[str, ...]) -> Watermark:
    mark = Watermark(account, types)
    row = cur.execute(_READ, (account, mark.digest)).fetchone()
    return mark if row is None else Watermark(account, types, *row)


def _listed(view: stripe_gateway.EventView, account: str) -> Arrived:
    """An event of the list as if it had been delivered. Its bytes are ours: nobody signed them."""
    body = {
        "id": view.id, "object": "event", "type": view.type, "created": int(view.created.timestamp()),
        "api_version": view.api_version, "livemode": view.livemode, "account": account or view.account,
        "data": {"object": dict(view.data), "previous_attributes": dict(view.previous)},
        "request": {"id": view.request_id, "idempotency_key": view.idempotency_key},
    }  # fmt: skip
    raw = msgspec.json.encode(body)
    return Arrived(read_event(raw), raw, source_of(account), "list")


def _listed_object(view: Any, event_type: str, account: str, day: str) -> Arrived:
    about = {"id": view.id, "payment_intent": getattr(view, "payment", None)}
    body = {
        "id": f"listed_{view.id}_{day}", "object": "event", "type": event_type,
        "created": int(view.created.timestamp()) if hasattr(view, "created") else 0,
        "api_version": settings.STRIPE_API_VERSION, "account": account or None,
        "data": {"object": about},
    }  # fmt: skip
    raw = msgspec.json.encode(body)
    return Arrived(read_event(raw), raw, source_of(account), "objects")

"""Stripe's deliveries at our door, signed as Stripe signs them; and a handler of the test's own behind it."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from tests.builders.orgs import http
from tests.builders.signing import SECRET, signed
from webhooks.operations.inbound import handlers
from webhooks.operations.inbound.handlers import Handler
from webhooks.queries.inbox import InboxEvent, list_inbox

PLATFORM, CONNECT = "/webhooks/stripe/", "/webhooks/stripe/connect/"
CONNECT_SECRET = "whsec_of_the_connected"


def now() -> int:
    """The second of the clock."""
    return int(time.time())


def identifier(prefix: str) -> str:
    """An id of Stripe's kind that no other test uses."""
    return f"{prefix}_{secrets.token_hex(9)}"


def event(
    type: str = "payment_intent.succeeded", object_id: str | None = None, **given: Any
) -> dict[str, Any]:
    """An event about an object. `about` adds to the object, everything else to the event."""
    about = {"id": object_id or identifier("pi"), "object": type.rpartition(".")[0], **given.pop("about", {})}
    return {
        "id": identifier("evt"),
        "object": "event",
        "type": type,
        "api_version": "2026-10-28.endive",
        "created": now(),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "data": {"object": about},
        **given,
    }


def post(body: bytes, header: str | None, path: str = PLATFORM) -> Any:
    """The answer to a delivery."""
    headers = {} if header is None else {"Stripe-Signature": header}
    return http().post(path, body, content_type="application/json; charset=utf-8", headers=headers)


def deliver(value: dict[str, Any], *, path: str = PLATFORM, secret: str | None = None) -> Any:
    """The answer to an event that is delivered as it should be."""
    body = json.dumps(value).encode()
    chosen = secret or (SECRET if path == PLATFORM else CONNECT_SECRET)
    return post(body, signed(body, at=now(), secret=chosen), path)


def stored(event_id: str) -> InboxEvent | None:
    """The row of an event; None when there is none."""
    rows = run_in_transaction(lambda cur: list_inbox(cur, limit=2, event=event_id))
    assert len(rows) < 2
    return rows[0] if rows else None


def row_of(value: dict[str, Any]) -> InboxEvent:
    """The row of an event that is stored."""
    found = stored(value["id"])
    assert found is not None
    return found


def count() -> int:
    """How many events are stored."""
    return int(
        run_in_transaction(lambda cur: cur.execute("SELECT count(*) FROM stripe_events").fetchone())[0]
    )  # type: ignore[index]


@dataclass(frozen=True)
class Told:
    """What an operation of the test says it did."""

    outcome: str
    detail: str | None = None


@dataclass
class Objects:
    """The processor of a test: objects with a version, and what was fetched. An effect is a row of a table of ours, so
    that it is part of the transaction."""

    now: dict[str, Any] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    outcome: str = "applied"
    error: Exception | None = None
    apply_error: Exception | None = None

    def fetch(self, object_id: str, account: str | None) -> Any:
        """The object as it is now."""
        self.fetched.append(object_id)
        if self.error is not None:
            raise self.error
        return {"id": object_id, "value": self.now.get(object_id, 0)}

    def apply(self, cur: Cursor, found: Any, author: Author) -> Told:
        """Note what it is."""
        cur.execute(
            "INSERT INTO stripe_watermarks (account, types, event, read_at) VALUES (%s, 'test', %s, clock_timestamp())"
            " ON CONFLICT (account, types) DO UPDATE SET event = EXCLUDED.event",
            (found["id"], str(found["value"])),
        )
        if self.apply_error is not None:
            raise self.apply_error
        return Told(self.outcome, "by the test")

    def effect(self, object_id: str) -> str | None:
        """What was applied of an object."""
        row = run_in_transaction(
            lambda cur: cur.execute(
                "SELECT event FROM stripe_watermarks WHERE account = %s AND types = 'test'", (object_id,)
            ).fetchone()
        )
        return None if row is None else row[0]


@contextmanager
def handling(objects: Objects, kind: str = "payment", source: str = "platform") -> Iterator[Objects]:
    """A block in which this kind of object is the test's."""
    before = dict(handlers._handlers)
    handlers.register(Handler(source, kind, objects.fetch, objects.apply))
    try:
        yield objects
    finally:
        handlers._handlers.clear()
        handlers._handlers.update(before)


def make_due(identifier: UUID) -> None:
    """Let the pause of an event be over."""
    run_in_transaction(
        lambda cur: cur.execute(
            "UPDATE stripe_events SET next_at = clock_timestamp() WHERE id = %s AND next_at IS NOT NULL",
            (identifier,),
        )
    )

"""Sending what is due: lanes are leased, requests run beside each other in threads, outcomes are written one by one.

Each endpoint has two lanes, for first attempts (in order) and for later ones, with one request on its way each; each
organization has SHARE lanes in work, so that slow receivers keep some threads and stop nobody else. No transaction is
open while anybody outside is asked. A sender that dies leaves its leases to end by themselves, and what it had sent and
not noted is sent again under the same id.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Thread
from typing import Any, Final
from uuid import UUID

from celery import current_app, current_task
from django.conf import settings
from django.db import connections
from prometheus_client import Counter

from common.clock import wall_now
from common.ids import new_id
from common.transactions import run_in_transaction
from events.database import own_session
from events.store import Cursor
from orgs.operations.facts import Author
from webhooks.operations.outbound.endpoints import disable_endpoint
from webhooks.operations.outbound.secrets import live_secrets
from webhooks.operations.outbound.sending import post
from webhooks.rules.outbound import ladder
from webhooks.rules.outbound.endpoints import FAILING, GONE
from webhooks.rules.outbound.ladder import Answer, Verdict
from webhooks.rules.outbound.secrets import signature_headers

logger = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Requests of one sender that are on their way."""
SHARE: Final = 4
"""Lanes of one organization that are in work, of all senders together: its slow receivers keep no others waiting."""
LEASE: Final = timedelta(seconds=30)
"""Twice the longest request."""
WORKS_SECONDS: Final = 10.0
KEPT_TRIES: Final = 20
_AUTHOR: Final = Author("system:webhooks.deliver")
ATTEMPTS: Final = Counter(
    "counterfoil_webhook_attempts", "Attempts of outbound webhooks by outcome", ["outcome"]
)

_DUE: Final = """
l.endpoint = e.id AND e.status = 'enabled' AND (l.leased_until IS NULL OR l.leased_until <= clock_timestamp())
    AND CASE l.lane
        WHEN 'first' THEN EXISTS (SELECT FROM webhook_deliveries d
            WHERE d.endpoint = l.endpoint AND d.status = 'pending' AND d.attempts = 0)
        ELSE EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint = l.endpoint AND d.status = 'pending'
            AND d.attempts > 0 AND d.next_at <= clock_timestamp()) END
"""
_ANY: Final = f"SELECT EXISTS (SELECT FROM webhook_lanes l, webhook_endpoints e WHERE {_DUE})"
# Who claims waits for who does already, and sees what that took: both count the lanes in work.
_ONE_BY_ONE: Final = "SELECT pg_advisory_xact_lock(hashtext('counterfoil webhook lanes'))"
_LEASE: Final = f"""
WITH busy AS (
    SELECT organization, count(*) AS lanes FROM webhook_lanes
    WHERE lease IS NOT NULL AND leased_until > clock_timestamp() GROUP BY organization
), waiting AS (
    SELECT l.endpoint, l.lane, l.organization, l.leased_until, row_number() OVER (
        PARTITION BY l.organization ORDER BY l.leased_until NULLS FIRST, l.endpoint, l.lane) AS place
    FROM webhook_lanes l, webhook_endpoints e WHERE {_DUE}
), due AS MATERIALIZED (
    SELECT l.endpoint, l.lane FROM waiting w LEFT JOIN busy b USING (organization)
        JOIN webhook_lanes l ON l.endpoint = w.endpoint AND l.lane = w.lane
    WHERE w.place + coalesce(b.lanes, 0) <= %(share)s
        AND (l.leased_until IS NULL OR l.leased_until <= clock_timestamp())
    ORDER BY w.leased_until NULLS FIRST LIMIT %(limit)s FOR NO KEY UPDATE OF l SKIP LOCKED
)
UPDATE webhook_lanes l SET lease = %(lease)s, leased_until = clock_timestamp() + %(term)s
FROM due WHERE l.endpoint = due.endpoint AND l.lane = due.lane RETURNING l.endpoint, l.lane
"""
_ALONE: Final = "SELECT pg_try_advisory_lock(hashtext('counterfoil webhook sender'))"
# A statement of its own: the one that took the lanes may still see as pending what another sender has just noted.
_NEXT: Final = """
SELECT t.endpoint, t.lane, d.organization, d.id, d.message, d.attempts, e.url, m.body
FROM unnest(%s::uuid[], %s::text[]) AS t(endpoint, lane) JOIN webhook_endpoints e ON e.id = t.endpoint
CROSS JOIN LATERAL (
    (SELECT id, organization, message, attempts FROM webhook_deliveries
     WHERE t.lane = 'first' AND endpoint = t.endpoint AND status = 'pending' AND attempts = 0 ORDER BY number LIMIT 1)
    UNION ALL
    (SELECT id, organization, message, attempts FROM webhook_deliveries
     WHERE t.lane = 'again' AND endpoint = t.endpoint AND status = 'pending' AND attempts > 0
        AND next_at <= clock_timestamp() ORDER BY next_at LIMIT 1)
) d JOIN webhook_messages m ON m.id = d.message
"""
_FREE: Final = """
UPDATE webhook_lanes SET lease = NULL, leased_until = clock_timestamp()
WHERE endpoint = %s AND lane = %s AND lease = %s
"""
_NOTE: Final = """
UPDATE webhook_deliveries SET status = %(status)s, attempts = attempts + 1, next_at = coalesce(%(next_at)s, next_at),
    response_status = %(response)s, error = %(error)s,
    delivered_at = CASE WHEN %(status)s = 'delivered' THEN clock_timestamp() END,
    tries = (SELECT coalesce(jsonb_agg(t ORDER BY n), '[]') FROM (
        SELECT t, n FROM jsonb_array_elements(tries || %(tried)s::jsonb) WITH ORDINALITY AS a(t, n)
        ORDER BY n DESC LIMIT %(kept)s
    ) AS last)
WHERE id = %(id)s AND status = 'pending' AND attempts = %(attempts)s
"""
_WELL: Final = """
UPDATE webhook_standings SET failing_since = NULL, failures = 0, delivered_at = clock_timestamp() WHERE endpoint = %s
"""
_ILL: Final = """
UPDATE webhook_standings SET failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp())
WHERE endpoint = %s RETURNING failing_since
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery that a sender has leased the lane for, with all that is sent."""

    endpoint: UUID
    lane: str
    organization: UUID
    delivery: UUID
    message: UUID
    attempts: int
    url: str
    body: str
    lease: UUID
    headers: dict[str, str]


Sender = Callable[[Parcel], Answer]
Running = dict[Future[Answer], Parcel]


def deliver_due() -> int:
    """This function will send what is due, or in a worker have it sent, and return how much it sent or handed out.

    In a worker a job of its own sends (`send_alone`), so that a slow receiver does not keep the next look waiting.
    """
    if not current_task:
        return send_due()
    if not run_in_transaction(lambda cur: (cur.execute(_ANY).fetchone() or (False,))[0]):
        return 0
    current_app.send_task("webhooks.tasks.send_webhooks", expires=30)
    return 1


def send_alone() -> int:
    """This function will send what is due as a worker's job, and return how many requests it made: none while another
    one sends, so that no more than one process is kept from the processor's events, dunning and what else is due.

    It ends after WORKS_SECONDS; threads wait for requests that are on their way then, and note what came of them.
    """
    with own_session() as session:
        if session.execute(_ALONE).fetchone() != (True,):
            return 0
        return send_due(waits=False)


def send_due(*, sender: Sender | None = None, seconds: float = WORKS_SECONDS, waits: bool = True) -> int:
    """This function will send what is due, up to 32 at once, and return how many requests it made.

    It takes new ones for `seconds`, then waits for those on their way, or leaves them to a thread. Two senders share
    the work. `sender` makes the request.
    """
    made, stop_at = 0, time.monotonic() + seconds
    running: Running = {}
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks")
    try:
        while True:
            takes = time.monotonic() < stop_at
            if takes and len(running) < AT_ONCE:
                for parcel in run_in_transaction(partial(claim, limit=AT_ONCE - len(running))):
                    running[pool.submit(sender or send, parcel)] = parcel
                    made += 1
            if not running:
                return made
            if not (takes or waits):
                Thread(target=_note_late, args=(running,), name="webhooks-late", daemon=True).start()
                return made
            _note_done(running)
    finally:
        pool.shutdown(wait=waits)


def claim(cur: Cursor, *, limit: int) -> list[Parcel]:
    """This function will lease up to `limit` lanes in which something is due, SHARE of an organization in all, and
    return the next delivery of each."""
    lease = new_id()
    cur.execute(_ONE_BY_ONE)
    given = {"limit": limit, "share": SHARE, "lease": lease, "term": LEASE}
    lanes = cur.execute(_LEASE, given).fetchall()
    if not lanes:
        return []
    rows = cur.execute(_NEXT, [list(column) for column in zip(*lanes, strict=True)]).fetchall()
    for endpoint, lane in {tuple(lane) for lane in lanes} - {(row[0], row[1]) for row in rows}:
        cur.execute(_FREE, (endpoint, lane, lease))
    now = wall_now(cur)
    return [_parcel(cur, row, lease, now) for row in rows]


def send(parcel: Parcel) -> Answer:
    """This function will make the request of a parcel. It touches no database."""
    if not parcel.headers:
        return Answer(None, "no_secret")
    return post(parcel.url, parcel.body.encode(), parcel.headers, loopback=settings.WEBHOOKS_TO_LOOPBACK)


def note(parcel: Parcel, answer: Answer) -> None:
    """This function will write down what came of a request, free its lane, and switch off an endpoint where nobody
    listens. An answer that somebody else noted meanwhile (the lease had ended) changes nothing.

    The second transaction locks the organization first, as every one that appends an event; if it is lost, the next
    failure leads to it again.
    """
    outcome, reason = run_in_transaction(lambda cur: _note(cur, parcel, answer))
    ATTEMPTS.labels(outcome).inc()
    if reason is not None:
        run_in_transaction(partial(_disable, parcel=parcel, reason=reason))


def _disable(cur: Cursor, *, parcel: Parcel, reason: str) -> None:
    disable_endpoint(
        cur, organization=parcel.organization, endpoint=parcel.endpoint, reason=reason, author=_AUTHOR
    )


def _note_done(running: Running) -> None:
    """Write down what has come since, and wait half a second for that at most."""
    done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
    for each in done:
        parcel = running.pop(each)
        note(parcel, _outcome(each, parcel))


def _note_late(running: Running) -> None:
    """The end of a job that others need not wait for."""
    try:
        while running:
            _note_done(running)
    finally:
        connections.close_all()


def _outcome(request: Future[Answer], parcel: Parcel) -> Answer:
    """Whatever a request ended with is an answer: one that cannot be sent stops no other."""
    try:
        return request.result()
    except Exception:
        logger.exception("webhooks.not_sent", extra={"delivery": str(parcel.delivery)})
        return Answer(None, "not_sent")


def _parcel(cur: Cursor, row: tuple[Any, ...], lease: UUID, now: datetime) -> Parcel:
    endpoint, lane, organization, delivery, message, attempts, url, body = row
    known = live_secrets(cur, endpoint)
    headers = (
        signature_headers(message=f"msg_{message}", at=now, body=body.encode(), secrets_=known)
        if known
        else {}
    )
    return Parcel(endpoint, lane, organization, delivery, message, attempts, url, body, lease, headers)


def _note(cur: Cursor, parcel: Parcel, answer: Answer) -> tuple[str, str | None]:
    """The outcome, and the reason for which the endpoint is to be disabled."""
    now = wall_now(cur)
    verdict = ladder.judge(answer, attempts=parcel.attempts + 1, now=now, jitter=secrets.randbelow(1_000))
    is_mine = cur.execute(_NOTE, _noted(parcel, answer, verdict, now)).rowcount
    cur.execute(_FREE, (parcel.endpoint, parcel.lane, parcel.lease))
    if not is_mine:
        return "known", None
    if verdict.outcome == ladder.DELIVERED:
        cur.execute(_WELL, (parcel.endpoint,))
        return verdict.outcome, None
    row = cur.execute(_ILL, (parcel.endpoint,)).fetchone()
    if verdict.outcome == ladder.GONE:
        return verdict.outcome, GONE
    is_dead = row is not None and ladder.is_dead(failing_since=row[0], now=now)
    return verdict.outcome, FAILING if is_dead else None


def _noted(parcel: Parcel, answer: Answer, verdict: Verdict, now: datetime) -> dict[str, Any]:
    states = {ladder.DELIVERED: "delivered", ladder.RETRY: "pending"}
    tried = {
        "at": now.isoformat(),
        "status": answer.status,
        "error": answer.error,
        "milliseconds": answer.milliseconds,
    }
    return {
        "id": parcel.delivery,
        "attempts": parcel.attempts,
        "status": states.get(verdict.outcome, "failed"),
        "next_at": verdict.next_at,
        "response": answer.status,
        "error": answer.error or (None if answer.is_success else "refused"),
        "tried": json.dumps([tried]),
        "kept": KEPT_TRIES,
    }

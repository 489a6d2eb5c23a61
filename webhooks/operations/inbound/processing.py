"""From waiting events to their effect: fetch what their object is now, apply it, mark them, all or nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, Final

from celery import current_app, current_task
from django.db import connections
from prometheus_client import Counter

from billing.stripe_gateway import NotAtProcessor, Unreadable
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from webhooks.operations.inbound.claiming import Claim, Waiting, claim_subjects, offer_subjects
from webhooks.operations.inbound.handlers import Handler, handler_of
from webhooks.rules.inbound.judging import MOST_ATTEMPTS, busy_for, parked_for, pause_after

logger = logging.getLogger(__name__)

AT_ONCE: Final = 300
BATCH: Final = 10
"""Objects of one job; they are fetched at the same time, applied one after the other."""
AUTHOR: Final = Author("system:stripe")
PROCESSED: Final = Counter(
    "counterfoil_stripe_events_processed",
    "Events of Stripe that were worked on, by what became of them",
    ["state"],
)
_MARK: Final = """
WITH ended AS (DELETE FROM stripe_leases WHERE token = %s AND subject = %s RETURNING subject)
UPDATE stripe_events e SET state = m.state, reason = m.reason, detail = m.detail, attempts = m.attempts,
    parkings = m.parkings, next_at = clock_timestamp() + m.pause,
    finished_at = CASE WHEN m.pause IS NULL THEN clock_timestamp() END
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::smallint[], %s::smallint[], %s::interval[])
    AS m(id, state, reason, detail, attempts, parkings, pause), ended
WHERE e.id = m.id
"""
_OUTCOMES: Final = {"applied": "applied", "unchanged": "applied", "parked": "parked", "foreign": "parked"}


class LeaseLost(Exception):
    """Somebody else works on this object by now."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What becomes of one event."""

    event: Waiting
    state: str
    reason: str | None = None
    detail: str | None = None
    attempts: int = 0
    parkings: int = 0
    pause: timedelta | None = None


def process_due() -> int:
    """This function will have every object worked on whose events are due, and return how many it handed out.

    In a worker some are a job; by hand (`run_due`) one comes after the other. What is handed out and not done is handed
    out again, so nothing is lost with a message, a worker or the whole broker.
    """
    hand_over = _send if current_task else process_subjects
    total = 0
    while subjects := run_in_transaction(partial(offer_subjects, limit=AT_ONCE)):
        for start in range(0, len(subjects), BATCH):
            hand_over(subjects[start : start + BATCH])
        total += len(subjects)
        if current_task and total >= AT_ONCE:
            break  # the rest at the next beat: what waits too long in the queue would be handed out twice
    return total


def process_subjects(subjects: Sequence[str]) -> int:
    """This function will work on those objects that nobody works on; how many those were.

    A failure is counted at its events and stops no other object: they are tried again with growing pauses, and are dead
    after MOST_ATTEMPTS until a person replays them. What is only busy is tried again and not counted.
    """
    claims = run_in_transaction(lambda cur: claim_subjects(cur, subjects), prepared=True)
    for claim, fetched in zip(claims, _fetch_all(claims), strict=True):
        _finish(claim, fetched)
    return len(claims)


def _fetch_all(claims: Sequence[Claim]) -> list[Any]:
    """What each object is now, or the error that came instead; outside any transaction."""
    if len(claims) < 2:
        return [_fetched(claim) for claim in claims]
    # Each in a copy of the caller's context: who has to wait for a turn with the processor waits in the threads, too.
    contexts = [copy_context() for _ in claims]
    return list(
        _threads(os.getpid()).map(lambda context, claim: context.run(_in_thread, claim), contexts, claims)
    )


@lru_cache(maxsize=1)
def _threads(process: int) -> ThreadPoolExecutor:
    """This process's threads, which keep their connections to the processor: each new one is a handshake."""
    return ThreadPoolExecutor(BATCH, thread_name_prefix=f"stripe-{process}")


def _in_thread(claim: Claim) -> Any:
    try:
        return _fetched(claim)
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close()


def _fetched(claim: Claim) -> Any:
    handler = handler_of(claim.source, claim.kind)
    if handler is None:
        return None
    try:
        return handler.fetch(claim.object_id, claim.account or None)
    except Exception as error:
        return error


def _finish(claim: Claim, fetched: Any) -> None:
    handler = handler_of(claim.source, claim.kind)
    try:
        if max(event.attempts for event in claim.events) > MOST_ATTEMPTS:
            marks = _all(claim, _dead("crashed", "Its worker died each time."))
            run_in_transaction(lambda cur: _finish_lease(cur, claim, marks))
        elif handler is None:
            marks = _all(claim, lambda event: Mark(event, "ignored", "no_handler"))
            run_in_transaction(lambda cur: _finish_lease(cur, claim, marks))
        elif isinstance(fetched, Exception):
            raise fetched
        else:
            # One object after the other is the same statements again.
            run_in_transaction(lambda cur: _apply(cur, claim, handler, fetched), prepared=True)
    except LeaseLost:
        logger.info("stripe.lease_lost", extra={"subject": claim.subject})
    except Exception as error:
        _note_failure(claim, error)


def _apply(cur: Cursor, claim: Claim, handler: Handler, found: Any) -> None:
    """The effect and the marks of the events that it answers, in one transaction (S82)."""
    applied = handler.apply(cur, found, AUTHOR)
    state = _OUTCOMES[applied.outcome]
    if state == "parked":
        marks = _all(claim, partial(_parked, reason=applied.outcome, detail=applied.detail))
    else:
        marks = _all(claim, lambda event: Mark(event, state, applied.outcome, applied.detail))
    _finish_lease(cur, claim, marks)


def _note_failure(claim: Claim, error: Exception) -> None:
    text = f"{type(error).__name__}: {error}"[:2_000]
    if isinstance(error, NotAtProcessor | Unreadable):
        reason = "not_at_processor" if isinstance(error, NotAtProcessor) else "unknown_shape"
        marks = _all(claim, partial(_parked, reason=reason, detail=text))
    elif isinstance(error, ProblemError) and error.retryable:
        asked = timedelta(seconds=error.retry_after or 0)
        marks = _all(claim, partial(_busy, detail=text, asked=asked))
    else:
        marks = _all(claim, partial(_failed, detail=text))
    _report(claim, marks, error)
    try:
        run_in_transaction(lambda cur: _finish_lease(cur, claim, marks))
    except LeaseLost:
        logger.info("stripe.lease_lost", extra={"subject": claim.subject})


def _report(claim: Claim, marks: Sequence[Mark], error: Exception) -> None:
    """What is expected (busy, not there yet) is counted; only what is broken is shown with its traceback."""
    worst = marks[0]
    if worst.state == "received" and worst.reason == "failed":
        logger.warning("stripe.event_failed", exc_info=error, extra={"subject": claim.subject})
    elif worst.state == "dead":
        logger.error("stripe.event_dead", exc_info=error, extra={"subject": claim.subject})
    else:
        logger.info("stripe.event_waits", extra={"subject": claim.subject, "reason": worst.reason})


def _all(claim: Claim, mark: Callable[[Waiting], Mark]) -> list[Mark]:
    return [mark(event) for event in claim.events]


def _dead(reason: str, detail: str) -> Callable[[Waiting], Mark]:
    return lambda event: Mark(event, "dead", reason, detail, event.attempts, event.parkings)


def _parked(event: Waiting, *, reason: str, detail: str | None) -> Mark:
    """It waits for what is missing, or for a person; it is looked at again for about a week. What is not ours does not
    become ours: what we make names itself, and is recorded before it is made."""
    if reason == "foreign":
        return Mark(event, "parked", reason, detail, 0, event.parkings)
    parkings = event.parkings + 1
    return Mark(event, "parked", reason, detail, 0, parkings, parked_for(parkings))


def _busy(event: Waiting, *, detail: str, asked: timedelta) -> Mark:
    pause = busy_for(event.waited, asked=asked)
    return Mark(event, "received", "busy", detail, event.attempts - 1, event.parkings, pause)


def _failed(event: Waiting, *, detail: str) -> Mark:
    pause = pause_after(event.attempts)
    if pause is None:
        return _dead("failed", detail)(event)
    return Mark(event, "received", "failed", detail, event.attempts, event.parkings, pause)


def _finish_lease(cur: Cursor, claim: Claim, marks: Sequence[Mark]) -> None:
    """Give the object back and mark its events. Raises LeaseLost, so that nothing of the transaction stays, when the
    lease went to somebody else meanwhile: what was fetched under it may be older than what they have applied."""
    columns = [
        [mark.event.id for mark in marks], [mark.state for mark in marks], [mark.reason for mark in marks],
        [mark.detail for mark in marks], [mark.attempts for mark in marks], [mark.parkings for mark in marks],
        [mark.pause for mark in marks],
    ]  # fmt: skip
    if cur.execute(_MARK, [claim.token, claim.subject, *columns]).rowcount == 0:
        raise LeaseLost
    for mark in marks:
        PROCESSED.labels(mark.state).inc()


def _send(subjects: Sequence[str]) -> None:
    current_app.send_task(
        "webhooks.tasks.process_stripe_objects", kwargs={"subjects": list(subjects)}, expires=20
    )

"""Quantities from outside: what an event is, when it may have happened, and what a correction of one says. Pure.

What is said about an event is never changed; a correction is said besides. Taking one back writes a fact of sign -1
that repeats what it takes back, so that the sum over any set of facts is what still counts of them: a correction of a
closed period comes into the next cut as the exact difference, negative where it must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidTransition, ProblemError
from orgs.rules.facts import Fact, time_text, with_changes
from spend.rules.denials import EventInFuture

MAX_AGE: Final = timedelta(days=35)
AHEAD: Final = timedelta(minutes=5)
MAX_BATCH: Final = 1_000
MAX_BACKFILL: Final = 100_000
"""So many events a backfill may have: reverting it is one transaction."""
OPEN, REVERTED = "open", "reverted"


class EventIdReused(ProblemError):
    """An event with this source and id was recorded before, with other content."""

    code = "event_id_reused"
    status = 422


class BackfillIsFull(ProblemError):
    """A backfill has at most 100,000 events; make another one."""

    code = "backfill_is_full"
    status = 409


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it was sent. `digest`: 16 bytes that are equal for the same content in any form."""

    source: str
    external_id: str
    type: str
    subject: str | None
    occurred_at: datetime
    data: Mapping[str, str | int | bool]
    digest: bytes


@dataclass(frozen=True, slots=True)
class EventFact:
    """A row: sign 1 states the event, sign -1 takes back the row `cancels`. `event_id` is the event's first row."""

    id: UUID
    organization: UUID
    occurred_at: datetime
    event_id: UUID
    sign: int
    adjustment: bool
    source: str
    external_id: str
    type: str
    subject: str | None
    data: Mapping[str, Any]
    actor: str
    cancels: UUID | None = None
    backfill_id: UUID | None = None
    reason: str | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill's row."""

    id: UUID
    organization: UUID
    name: str
    reason: str
    status: str
    created_by: str
    created_at: datetime
    version: int
    reverted_by: str | None = None
    reverted_at: datetime | None = None
    revert_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What an amendment says anew; None: as it was."""

    reason: str
    occurred_at: datetime | None = None
    data: Mapping[str, str | int | bool] | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """Times whose use is on paper already: whatever occurred before the books are open (`until`), and the periods
    [start, end) by meter that are on an invoice."""

    until: datetime | None = None
    invoiced: Mapping[str, Sequence[tuple[datetime, datetime]]] = field(default_factory=dict)

    def holds(self, moment: datetime, meters: Iterable[str]) -> bool:
        """Return whether a moment is closed for something that these meters count."""
        if self.until is not None and moment < self.until:
            return True
        return any(start <= moment < end for meter in meters for start, end in self.invoiced.get(meter, ()))


def check_time(occurred_at: datetime, now: datetime) -> None:
    """Refuse what is dated too far ahead of the organization's clock. Raises EventInFuture."""
    if occurred_at > now + AHEAD:
        raise EventInFuture(pointer="/occurred_at")


def is_adjustment(occurred_at: datetime, now: datetime, *, backfill: UUID | None = None) -> bool:
    """Whether an event counts as an adjustment by itself: it is older than 35 days, or belongs to a backfill. One of a
    closed time does, too: see `adjusted`."""
    return backfill is not None or occurred_at < now - MAX_AGE


def stated(
    new: NewEvent,
    *,
    identifier: UUID,
    organization: UUID,
    now: datetime,
    actor: str,
    backfill: UUID | None = None,
) -> EventFact:
    """Return the first fact of an event. Raises EventInFuture."""
    check_time(new.occurred_at, now)
    return EventFact(
        identifier, organization, new.occurred_at, identifier, 1,
        is_adjustment(new.occurred_at, now, backfill=backfill), new.source, new.external_id, new.type, new.subject,
        new.data, actor, backfill_id=backfill,
    )  # fmt: skip


def adjusted(fact: EventFact, closed: Closed, meters: Iterable[str]) -> EventFact:
    """Return a fact as an adjustment where its time is closed for one of the meters that count it: it keeps its time
    and is on a later invoice."""
    return replace(fact, adjustment=fact.adjustment or closed.holds(fact.occurred_at, meters))


def taken_back(fact: EventFact, *, identifier: UUID, now: datetime, actor: str, reason: str) -> EventFact:
    """Return the fact that takes back one of sign 1: the same time, type and data."""
    return replace(
        fact,
        id=identifier,
        sign=-1,
        cancels=fact.id,
        actor=actor,
        reason=reason,
        adjustment=is_adjustment(fact.occurred_at, now, backfill=fact.backfill_id),
        recorded_at=None,
    )


def amended(
    history: Sequence[EventFact],
    said: Correction,
    *,
    identifiers: tuple[UUID, UUID],
    now: datetime,
    actor: str,
) -> list[EventFact]:
    """Return the facts that amend an event: what counts of it is taken back and stated anew. None when nothing differs.

    Raises InvalidTransition for a void event and EventInFuture.
    """
    counts = counting(history)
    if counts is None:
        raise InvalidTransition("The event is void.")
    occurred_at = counts.occurred_at if said.occurred_at is None else said.occurred_at
    data = counts.data if said.data is None else said.data
    if (occurred_at, dict(data)) == (counts.occurred_at, dict(counts.data)):
        return []
    check_time(occurred_at, now)
    back = taken_back(counts, identifier=identifiers[0], now=now, actor=actor, reason=said.reason)
    anew = replace(
        counts,
        id=identifiers[1],
        occurred_at=occurred_at,
        data=data,
        actor=actor,
        reason=said.reason,
        adjustment=is_adjustment(occurred_at, now, backfill=counts.backfill_id),
        recorded_at=None,
    )
    return [back, anew]


def voided(
    history: Sequence[EventFact], *, identifier: UUID, now: datetime, actor: str, reason: str
) -> list[EventFact]:
    """Return the fact that takes back what counts of an event; none when nothing does any more."""
    counts = counting(history)
    if counts is None:
        return []
    return [taken_back(counts, identifier=identifier, now=now, actor=actor, reason=reason)]


def counting(history: Sequence[EventFact]) -> EventFact | None:
    """Return which of an event's facts counts, None for none."""
    gone = {fact.cancels for fact in history}
    return next((fact for fact in history if fact.sign > 0 and fact.id not in gone), None)


def backfill_created(
    *, identifier: UUID, organization: UUID, name: str, reason: str, by: str, at: datetime
) -> tuple[Backfill, Fact]:
    """Return a new backfill, without events, and the fact that makes it."""
    backfill = Backfill(identifier, organization, name, reason, OPEN, by, at, 1)
    return backfill, _fact(backfill, "created", _data(backfill), at)


def backfill_reverted(
    backfill: Backfill, *, by: str, reason: str, events: int, at: datetime
) -> tuple[Backfill, Fact]:
    """Return the backfill as none of it counts, and the fact of it, with how many events that took back."""
    after = replace(
        backfill,
        status=REVERTED,
        reverted_by=by,
        reverted_at=at,
        revert_reason=reason,
        version=backfill.version + 1,
    )
    data = with_changes(_data(after), _data(backfill))
    return after, _fact(after, "reverted", {**data, "events": events}, at)


def require_open(backfill: Backfill) -> None:
    """Refuse more events for a backfill that was reverted. Raises InvalidTransition."""
    if backfill.status != OPEN:
        raise InvalidTransition("The backfill was reverted.")


def _fact(backfill: Backfill, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(backfill.organization, "event_backfill", backfill.id, backfill.version, verb, data, at)


def _data(backfill: Backfill) -> dict[str, Any]:
    return {
        "name": backfill.name,
        "reason": backfill.reason,
        "status": backfill.status,
        "created_by": backfill.created_by,
        "created_at": time_text(backfill.created_at),
        "reverted_by": backfill.reverted_by,
        "reverted_at": time_text(backfill.reverted_at),
        "revert_reason": backfill.revert_reason,
    }

"""Recording quantities from outside: each (organization, source, id) once, for ever (S73)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from billing.operations.metering.writing import insert_facts, insert_keys
from billing.queries.meterevents import (
    KnownEvent,
    closed_times,
    events_in_backfill,
    find_backfill,
    id_digest,
    known_events,
)
from billing.queries.meters import event_meters
from billing.rules.meterevents import (
    MAX_BACKFILL,
    BackfillIsFull,
    EventFact,
    EventIdReused,
    NewEvent,
    adjusted,
    require_open,
    stated,
)
from billing.rules.meters import matching
from common.errors import ProblemError
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an event: its id, whether it is an adjustment, and which meters counted it when it came."""

    event: NewEvent
    known: KnownEvent
    replayed: bool


def record_events(
    cur: Cursor,
    organization: UUID,
    events: Sequence[NewEvent],
    *,
    author: Author,
    backfill: UUID | None = None,
) -> list[Recorded | ProblemError]:
    """This function will record each event that is new, in one transaction, and say of each, in order, what became of
    it; what is wrong with one stops no other.

    An event that was recorded before with the same content changes nothing and gets its first answer; with other
    content it is EventIdReused. Others are EventInFuture, InvalidQuantity and InvalidField (a meter is for it and could
    not count it). With `backfill` they belong to it and are adjustments, as is what
    belongs to a closed month or to a period that is on an invoice. Raises OrganizationClosed, InvalidTransition (the
    platform's own, a reverted backfill), NotFound and BackfillIsFull.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if backfill is not None:
        _check_backfill(cur, organization, backfill, len(events))
    names = [(event.source, id_digest(event.external_id)) for event in events]
    known = dict(known_events(cur, organization, names))
    meters, closed = event_meters(cur), closed_times(cur, organization, now=locked.now)
    answers: list[Recorded | ProblemError] = []
    facts: list[EventFact] = []
    for event, name in zip(events, names, strict=True):
        before = known.get(name)
        if before is not None:
            answers.append(_again(event, before))
            continue
        try:
            fact = stated(
                event, identifier=new_id(), organization=organization, now=locked.now, actor=author.actor,
                backfill=backfill,
            )  # fmt: skip
            counted = matching(meters.get(event.type, ()), event.type, event.data)
        except ProblemError as error:
            answers.append(error)
            continue
        keys = tuple(meter.key for meter in counted)
        fact = adjusted(fact, closed, keys)
        known[name] = KnownEvent(event.digest, fact.id, fact.adjustment, keys)
        facts.append(fact)
        answers.append(Recorded(event, known[name], replayed=False))
    made = {fact.id for fact in facts}
    insert_keys(cur, organization, [(name, one) for name, one in known.items() if one.event_id in made])
    insert_facts(cur, facts)
    return answers


def _again(event: NewEvent, known: KnownEvent) -> Recorded | ProblemError:
    if known.digest != event.digest:
        return EventIdReused()
    return Recorded(event, known, replayed=True)


def _check_backfill(cur: Cursor, organization: UUID, backfill: UUID, more: int) -> None:
    require_open(find_backfill(cur, organization, backfill))
    if events_in_backfill(cur, organization, backfill)[0] + more > MAX_BACKFILL:
        raise BackfillIsFull

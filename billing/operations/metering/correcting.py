"""Amending and voiding events, and backfills that can be taken back whole: all of it by new facts."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from billing.operations.metering.writing import insert_facts, take_back_backfill
from billing.queries.meterevents import closed_times, events_in_backfill, find_backfill, history_of
from billing.queries.meters import event_meters
from billing.rules.meterevents import (
    REVERTED,
    Backfill,
    Correction,
    EventFact,
    adjusted,
    amended,
    backfill_created,
    backfill_reverted,
    voided,
)
from billing.rules.meters import Meter, matching
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.organizations import require_customer
from orgs.rules.rows import LockedOrganization


def amend_event(
    cur: Cursor, organization: UUID, event: UUID, said: Correction, *, author: Author
) -> list[EventFact]:
    """This function will state an event anew, with other data or another time, and return its history.

    What counted of it until now is taken back; both facts are in the next cut, so a closed period is adjusted by the
    exact difference. The same again changes nothing. Raises NotFound, InvalidTransition (void), EventInFuture,
    InvalidQuantity and InvalidField (a meter could not count it), and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    history = history_of(cur, organization, event)
    facts = amended(history, said, identifiers=(new_id(), new_id()), now=locked.now, actor=author.actor)
    meters = event_meters(cur).get(history[0].type, ())
    if facts:
        matching(meters, facts[1].type, facts[1].data)
    return _said(cur, locked, history, facts, meters)


def void_event(
    cur: Cursor, organization: UUID, event: UUID, *, reason: str, author: Author
) -> list[EventFact]:
    """This function will take back what counts of an event, and return its history. Of a void one nothing counts: it
    stays as it is. Raises NotFound and OrganizationClosed."""
    locked = lock_organization(cur, organization)
    require_customer(locked)
    history = history_of(cur, organization, event)
    facts = voided(history, identifier=new_id(), now=locked.now, actor=author.actor, reason=reason)
    return _said(cur, locked, history, facts, event_meters(cur).get(history[0].type, ()))


def _said(
    cur: Cursor,
    locked: LockedOrganization,
    history: Sequence[EventFact],
    facts: Sequence[EventFact],
    meters: Iterable[Meter],
) -> list[EventFact]:
    """Write what is said anew of an event, as adjustments where its time is closed, and return its history."""
    closed = closed_times(cur, locked.id, now=locked.now)
    made = []
    for fact in facts:
        counted = [meter.key for meter in meters if meter.definition.takes(fact.type, fact.data)]
        made.append(adjusted(fact, closed, counted))
    insert_facts(cur, made)
    return [*history, *made]


def create_backfill(cur: Cursor, organization: UUID, *, name: str, reason: str, author: Author) -> Backfill:
    """This function will make a backfill, to which events of the past are then sent. Raises OrganizationClosed."""
    locked = lock_organization(cur, organization)
    require_customer(locked)
    made, fact = backfill_created(
        identifier=new_id(),
        organization=organization,
        name=name,
        reason=reason,
        by=author.actor,
        at=locked.now,
    )
    record(cur, [fact], author=author)
    return made


def revert_backfill(
    cur: Cursor, organization: UUID, backfill: UUID, *, reason: str, author: Author
) -> Backfill:
    """This function will take back whatever counts of a backfill, once: with its amendments, without what is void.

    A reverted one stays as it is. Raises NotFound and OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    found = find_backfill(cur, organization, backfill)
    if found.status == REVERTED:
        return found
    _, counting = events_in_backfill(cur, organization, backfill)
    taken = take_back_backfill(
        cur,
        organization,
        backfill,
        ids=[new_id() for _ in range(counting)],
        actor=author.actor,
        reason=reason,
    )
    if taken != counting:
        raise RuntimeError(f"backfill {backfill}: {counting} facts count, {taken} were taken back")
    after, fact = backfill_reverted(found, by=author.actor, reason=reason, events=taken, at=locked.now)
    record(cur, [fact], author=author)
    return after

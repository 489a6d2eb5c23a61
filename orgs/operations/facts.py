"""From a decision's facts to stored events."""

from collections.abc import Iterable
from dataclasses import dataclass

from events.store import Cursor, Event, append
from orgs.rules.facts import Fact


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change: "key:<id>", "staff:<id>" or "system:<job>"; and the idempotency key of its call."""

    actor: str
    idempotency_key: str | None = None


def event_of(fact: Fact, author: Author) -> Event:
    """The event of a fact."""
    return Event(
        organization=fact.organization,
        stream_type=fact.stream_type,
        stream_id=fact.stream_id,
        version=fact.version,
        type=f"{fact.stream_type}.{fact.verb}",
        data=dict(fact.data),
        occurred_at=fact.at,
        actor=author.actor,
        idempotency_key=author.idempotency_key,
    )


def record(cur: Cursor, facts: Iterable[Fact | None], *, author: Author, at_once: bool = False) -> None:
    """This function will append the facts that there are, and project them; `at_once` as `events.store.append` has
    it."""
    append(cur, [event_of(fact, author) for fact in facts if fact is not None], at_once=at_once)

"""Meters, events and cuts for tests, made by the operations."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.metering.meters import create_meter
from billing.operations.metering.recording import Recorded, record_events
from billing.queries.cuts import take_cut
from billing.rules.cuts import Cut
from billing.rules.meterevents import NewEvent
from billing.rules.meters import Definition, Meter, NewMeter
from common.errors import NameConflict
from common.strictjson import canonical_digest
from orgs.operations.locks import lock_organization
from tests.builders.orgs import AUTHOR, write


def unique_type(prefix: str = "test") -> str:
    """A type of event that no other test's meters are for."""
    return f"{prefix}.{secrets.token_hex(6)}"


def make_meter(aggregation: str = "sum", *, key: str | None = None, **given: Any) -> Meter:
    """A meter; of events with a type of its own unless told otherwise."""
    definition: dict[str, Any] = {"source": "events", **given}
    if definition["source"] == "events":
        definition.setdefault("event_type", unique_type())
    if aggregation not in ("count", "unique"):
        definition.setdefault("value_property", "units")
    new = NewMeter(
        key or f"m-{secrets.token_hex(6)}", "A meter", None, Definition(aggregation=aggregation, **definition)
    )
    return write(lambda cur: create_meter(cur, new, author=AUTHOR))


def ensure_meter(key: str, group_by: Sequence[str] = ()) -> None:
    """Make a meter with this key, unless there is one."""
    try:
        make_meter("count", key=key, group_by=tuple(dict.fromkeys((*group_by, "model"))))
    except NameConflict:
        return


def new_event(kind: str, occurred_at: datetime, data: dict[str, Any], **given: Any) -> NewEvent:
    """An event as it is sent."""
    return NewEvent(
        source=given.get("source", "test"),
        external_id=given.get("external_id", secrets.token_hex(8)),
        type=kind,
        subject=None,
        occurred_at=occurred_at,
        data=data,
        digest=canonical_digest({"data": data, "at": occurred_at.isoformat(), "type": kind})[:16],
    )


def record(organization: UUID, *events: NewEvent, backfill: UUID | None = None) -> list[UUID]:
    """Record events; the ids that they were given."""
    answers = write(lambda cur: record_events(cur, organization, events, author=AUTHOR, backfill=backfill))
    found = []
    for answer in answers:
        assert isinstance(answer, Recorded), answer
        found.append(answer.known.event_id)
    return found


def cut_of(organization: UUID, until: datetime) -> Cut:
    """A cut under the organization's lock."""

    def take(cur: Any) -> Cut:
        lock_organization(cur, organization)
        return take_cut(cur, until)

    return write(take)


def now() -> datetime:
    """The time, as events state it."""
    return datetime.now(UTC)


def sent(kind: str, **given: Any) -> dict[str, Any]:
    """The body of an event that happened a minute ago."""
    return {
        "source": "meter-tests",
        "id": secrets.token_hex(8),
        "type": kind,
        "occurred_at": (now() - timedelta(minutes=1)).isoformat(),
        "data": {"units": "1.5", "region": "eu"},
        **given,
    }


def facts_of(organization: UUID) -> list[tuple[Any, ...]]:
    """All that was said about an organization's events: (sign, event, cancels, data, adjustment), oldest first."""
    facts = "SELECT sign, event_id, cancels, data::text, adjustment FROM meter_events"
    statement = f"{facts} WHERE organization = %s ORDER BY id"
    return write(lambda cur: cur.execute(statement, (organization,)).fetchall())

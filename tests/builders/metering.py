"""Meters, events and cuts for tests, made by the operations."""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing.operations.metering.meters import NewMeter, create_meter
from billing.operations.metering.recording import Recorded, record_events
from billing.queries.cuts import take_cut
from billing.rules.cuts import Cut
from billing.rules.meterevents import NewEvent
from billing.rules.meters import Definition, Meter
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

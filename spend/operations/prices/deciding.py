"""A person's decision on a price that differs from its source."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NotFound
from events.store import Cursor, Event, append
from spend.operations.prices.importing import price_data
from spend.operations.prices.records import Author, JsonObject, author, utc_text
from spend.rules.pricedata import json_value

CHANGE = "SELECT to_jsonb(c)::text FROM price_changes c WHERE id = %s"
MODEL = "SELECT to_jsonb(m)::text FROM price_models m WHERE provider = %s AND lower(model) = lower(%s)"
NOT_IN_EVENTS = ("id", "version")


def approve_price_change(
    cur: Cursor, *, actor: str, change: UUID, reason: str | None = None, key: str | None = None
) -> list[UUID]:
    """This function will take a proposed price into the book and return the ids of the versions published.

    What the source dates in the future holds from its date; everything else from now: a price never changes
    backwards, and no stored record is rated again (S22). The maker of a proposal is the import, so whoever
    decides is the second pair of eyes. Raises NotFound and InvalidTransition.
    """
    by = author(cur, organization=None, actor=actor, key=key)
    row = _proposed(cur, change)
    published = list(_published(cur, by, row))
    append(cur, [_decided(by, row, "approved", (reason or "").strip() or None), *published])
    return [event.stream_id for event in published if event.stream_type == "price"]


def reject_price_change(
    cur: Cursor, *, actor: str, change: UUID, reason: str, key: str | None = None
) -> None:
    """This function will close a proposed price without taking it; the same proposal will not come again.

    Raises NotFound, InvalidTransition, and InvalidField without a reason.
    """
    if not reason.strip():
        raise InvalidField("A rejection has a reason.", pointer="/reason")

    by = author(cur, organization=None, actor=actor, key=key)
    append(cur, [_decided(by, _proposed(cur, change), "rejected", reason)])


def _proposed(cur: Cursor, change: UUID) -> JsonObject:
    found = cur.execute(CHANGE, (change,)).fetchone()
    if found is None:
        raise NotFound
    row: JsonObject = json_value(found[0])
    if row["status"] != "proposed":
        raise InvalidTransition(f"This price change is {row['status']} already.")
    return row


def _decided(by: Author, row: JsonObject, status: str, reason: str | None) -> Event:
    data = {key: value for key, value in row.items() if key not in NOT_IN_EVENTS}
    data |= {
        "status": status,
        "proposed_at": utc_text(datetime.fromisoformat(row["proposed_at"])),
        "decided_at": utc_text(by.now),
        "decided_by": by.actor,
        "reason": reason,
    }
    return by.event("price_change", status, data, stream_id=UUID(row["id"]), version=row["version"] + 1)


def _published(cur: Cursor, by: Author, row: JsonObject) -> Iterator[Event]:
    found = cur.execute(MODEL, (row["provider"], row["model"])).fetchone()
    if found is None:
        raise NotFound
    model: JsonObject = json_value(found[0])
    model |= {key: row[key] for key in ("source", "source_version", "source_digest")}
    for version in effective(row["proposal"], by.now):
        yield by.event("price", "published", price_data(by, model, version, approved_by=by.actor))
    data = {key: value for key, value in model.items() if key not in NOT_IN_EVENTS}
    yield by.event("price_model", "changed", data, stream_id=UUID(model["id"]), version=model["version"] + 1)


def effective(versions: list[JsonObject], now: datetime) -> list[JsonObject]:
    """Return what of a source's dated versions holds now, beginning now, and what will hold later, at its
    date.
    """
    later = [version for version in versions if datetime.fromisoformat(version["valid_from"]) > now]
    begun = [version for version in versions if datetime.fromisoformat(version["valid_from"]) <= now]
    current: dict[Any, JsonObject] = {}
    for version in begun:
        ended = version["valid_to"] is not None and datetime.fromisoformat(version["valid_to"]) <= now
        if not ended:
            current[version["daily_from"], version["daily_to"]] = {**version, "valid_from": utc_text(now)}
    return [*current.values(), *later]

"""What a decision of this app comes to: an object's whole new definition, and each change as [old, new]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Fact:
    """An event before it has an author; `type` is "<stream type>.<verb>"."""

    organization: UUID
    stream_type: str
    stream_id: UUID
    version: int
    verb: str
    data: Mapping[str, Any]
    at: datetime


def time_text(moment: datetime | None) -> str | None:
    """A time as events hold it: RFC 3339 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def id_text(identifier: UUID | None) -> str | None:
    """An id as events hold it."""
    return None if identifier is None else str(identifier)


def with_changes(data: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The new definition with each change from what to what (S42)."""
    changed = {name: [before[name], value] for name, value in data.items() if before[name] != value}
    return {**data, "changed": changed}

"""A fact before it is stored. Plain Python, so that rules of every app can make one."""

from datetime import datetime
from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct):
    """One fact of a stream. Ids are UUIDs, or texts where the gate made it.

    `data` holds ids as text, amounts as integers in units, times as RFC 3339 text in UTC."""

    organization: Any
    stream_type: str
    stream_id: Any
    version: int
    type: str
    data: dict[str, Any]
    occurred_at: datetime
    actor: str
    cause: str | None = None
    idempotency_key: str | None = None
    schema: int = 1

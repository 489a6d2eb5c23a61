"""An event of the processor, as plain values: a hint that an object changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class EventView:
    """An event. `object_id` and `object_type` name what it is about; `data` is the object as it was then, in the shape
    of `api_version`, and evidence only. `account`: the connected account, None: the platform's own. `thin`: it came
    without the object (v2). `livemode` None: a thin event does not say."""

    id: str
    type: str
    created: datetime
    api_version: str | None
    livemode: bool | None
    object_id: str | None
    object_type: str | None
    account: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    idempotency_key: str | None = None
    pending_webhooks: int = 0
    thin: bool = False


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event whose signature is right: `secret` is the place, from 0, of the secret that matched (the newest first),
    `signed_at` the time in the signature."""

    event: EventView
    secret: int
    signed_at: datetime

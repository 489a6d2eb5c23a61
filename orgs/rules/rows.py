"""The rows of this app as plain values, as they are locked and decided on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LockedOrganization:
    """An organization's row under its lock; `now` is its business clock, read after the lock was held.

    `credit_limit` is in units of 10^-8; None: postpaid without a limit.
    """

    id: UUID
    name: str
    currency: str
    time_zone: str
    funding: str
    credit_limit: int | None
    status: str
    is_platform: bool
    sandbox: bool
    config_epoch: int
    version: int
    created_at: datetime
    now: datetime

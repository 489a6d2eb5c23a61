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


@dataclass(frozen=True, slots=True)
class Subject:
    """A team, agent, workflow or connection. `team_id`, `listing`: an agent's; `billing`: a connection's."""

    kind: str
    id: UUID
    organization: UUID
    key: str
    name: str
    version: int
    created_at: datetime
    archived_at: datetime | None = None
    team_id: UUID | None = None
    listing: UUID | None = None
    billing: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person's place in an organization: the role, and the team that a team_owner owns or a member has."""

    id: UUID
    organization: UUID
    role: str
    team_id: UUID | None
    version: int
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The definition of an API key; times are wall clock. `secret_hash`: SHA-256 of the whole secret."""

    id: UUID
    organization: UUID
    name: str
    prefix: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    member_id: UUID | None
    agent_ids: tuple[UUID, ...] | None
    connection_ids: tuple[UUID, ...] | None
    expires_at: datetime | None
    version: int
    created_at: datetime
    revoked_at: datetime | None = None
    rotated_from: UUID | None = None

    def is_live(self, wall: datetime) -> bool:
        """Whether requests may still use the key."""
        return self.revoked_at is None and (self.expires_at is None or wall < self.expires_at)

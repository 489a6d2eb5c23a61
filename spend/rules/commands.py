"""What the gate is asked: one frozen value per command, already parsed, with the caller's key beside it.

They are structs: each call makes half a dozen of them, and a frozen dataclass takes ten times as long to make.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from spend.rules.rating import Usage
from spend.rules.toolprices import ToolUse


class Caller(msgspec.Struct, frozen=True):
    """Who asks: the actor for the events, and what the API key is limited to (None = everything).

    `epoch` is the organization's config_epoch at which this was read of the key whose secret has the SHA-256
    `secret_hash`; under a later one it must be read again. None where no key stands behind the caller.
    """

    actor: str
    agent_ids: frozenset[UUID] | None = None
    connection_ids: frozenset[UUID] | None = None
    secret_hash: bytes | None = None
    epoch: int | None = None

    @property
    def key_id(self) -> str | None:
        """Return the id of the API key that calls, None where none does."""
        kind, _, name = self.actor.partition(":")
        return name if kind == "key" else None

    def forbidden(self, *, agent: str, connection: str | None) -> str | None:
        """Return which limit of the key, agent or connection, a call of these two would pass; None when neither."""
        if self.connection_ids is not None and (
            connection is None or UUID(connection) not in self.connection_ids
        ):
            return "connection"
        if self.agent_ids is not None and UUID(agent) not in self.agent_ids:
            return "agent"
        return None


class RequestKey(msgspec.Struct, frozen=True):
    """An idempotency key and the digest of method, path and JSON value that it stands for."""

    key: str
    request: bytes


class Subject(msgspec.Struct, frozen=True):
    """Whom a call is attributed to; names are keys or ids of the organization, run and user are labels."""

    agent: str
    workflow: str | None = None
    run: str | None = None
    parent_run: str | None = None
    connection: str | None = None
    user: str | None = None
    team: str | None = None
    step: int | None = None
    attempt: int | None = None
    parent_task: str | None = None
    hop: int | None = None


class Action(msgspec.Struct, frozen=True):
    """What is asked of a provider or tool."""

    kind: str
    provider: str | None = None
    model: str | None = None
    tool: str | None = None
    fingerprint: str | None = None


class Estimate(msgspec.Struct, frozen=True):
    """What a call is expected to take: tokens, tool calls, an amount in units, other units; the parts add up."""

    input_tokens: int = 0
    max_output_tokens: int = 0
    tool_calls: tuple[ToolUse, ...] = ()
    amount: int = 0
    credits: int = 0
    risk_points: int = 0


class Actual(msgspec.Struct, frozen=True):
    """What a call took. `usage` is inclusive counts; without it `raw` (the provider's own object) is normalised."""

    usage: Usage | None = None
    raw: dict[str, Any] | None = None
    amount: int = 0
    credits: int = 0
    risk_points: int = 0
    latency_ms: int | None = None
    response_id: str | None = None
    reason: str | None = None


class Reserve(msgspec.Struct, frozen=True):
    """Ask for permission and hold the estimate on every layer and on the funding."""

    organization: UUID
    caller: Caller
    key: RequestKey | None
    subject: Subject
    action: Action
    estimate: Estimate | None
    currency: str
    ttl_seconds: int = 900
    dry_run: bool = False


class Commit(msgspec.Struct, frozen=True):
    """Replace a hold by the actual cost and write the usage record."""

    organization: UUID
    caller: Caller
    key: RequestKey | None
    reservation: UUID
    outcome: str
    actual: Actual


class Release(msgspec.Struct, frozen=True):
    """Free a hold; nothing was used. `amount` (units) is what the caller believes to be held, None: whatever it is."""

    organization: UUID
    caller: Caller
    key: RequestKey | None
    reservation: UUID
    reason: str = ""
    amount: int | None = None


class Extend(msgspec.Struct, frozen=True):
    """Let a reservation live longer (heartbeat)."""

    organization: UUID
    caller: Caller
    key: RequestKey | None
    reservation: UUID
    ttl_seconds: int


class RecordUsage(msgspec.Struct, frozen=True):
    """A cost-bearing fact after the event, without a hold; (source, external_id) is unique for ever."""

    organization: UUID
    caller: Caller
    key: RequestKey | None
    source: str
    external_id: str
    payload: bytes
    subject: Subject
    action: Action
    outcome: str
    actual: Actual
    occurred_at: datetime
    reservation: UUID | None = None
    currency: str = ""


Command = Reserve | Commit | Release | Extend | RecordUsage

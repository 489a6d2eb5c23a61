"""Asking for a command: the intent, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from billing.operations.commands.purposes import purpose_of
from billing.queries.commands import newest_command
from billing.rules.payments.commands import (
    HOLDING,
    LAPSED,
    PENDING,
    Command,
    fact,
    idempotency_key,
    params_hash,
)
from common.clock import wall_now
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def request(
    cur: Cursor,
    *,
    organization: UUID,
    purpose: str,
    business_key: str,
    params: Mapping[str, Any],
    author: Author,
    account: str | None = None,
    target: str | None = None,
    order_key: str | None = None,
    identifier: UUID | None = None,
) -> Command:
    """This function will record what the processor is to do, for a task to send after the commit, and return it.

    While the newest generation of (purpose, business_key) is pending, sending, unknown, wrong or succeeded, that one is
    returned and nothing new is asked for; after a refusal, or when it was never done, a new generation begins. `params`
    are the processor's own (minor units); the command's id and the organization are added to their metadata, and then
    they never change. `target`: the object that the verb is called on; `order_key`: the object whose commands go one
    after the other; `identifier`: the id of a new command, where the caller must know it before. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    newest = newest_command(cur, organization=organization, purpose=purpose, business_key=business_key)
    if newest is not None and newest.state in HOLDING:
        return newest
    known = purpose_of(purpose)
    drafted = _drafted(
        identifier or new_id(),
        organization,
        purpose,
        business_key,
        1 if newest is None else newest.generation + 1,
    )
    command = _frozen(
        replace(
            drafted,
            resource=known.resource,
            verb=known.verb,
            target=target,
            account=account,
            order_key=order_key or target,
            api_version=settings.STRIPE_API_VERSION,
            requested_at=wall_now(cur),
        ),
        params,
    )
    record(cur, [fact(command, "requested", at=locked.now)], author=author)
    return command


def next_generation(cur: Cursor, command: Command, *, at: datetime, author: Author) -> Command:
    """This function will ask anew for what a lapsed command never did, with the same parameters under a new key. The
    caller holds the lock of its organization."""
    if command.state != LAPSED:
        raise ValueError("only what was never done is asked for anew")
    drafted = _drafted(
        new_id(), command.organization, command.purpose, command.business_key, command.generation + 1
    )
    again = _frozen(
        replace(
            drafted,
            resource=command.resource,
            verb=command.verb,
            target=command.target,
            account=command.account,
            order_key=command.order_key,
            api_version=settings.STRIPE_API_VERSION,
            requested_at=wall_now(cur),
        ),
        command.params,
    )
    record(cur, [fact(again, "requested", at=at)], author=author)
    return again


def _drafted(
    identifier: UUID, organization: UUID, purpose: str, business_key: str, generation: int
) -> Command:
    key = idempotency_key(
        purpose=purpose, business_key=business_key, generation=generation, organization=organization
    )
    return Command(
        identifier, organization, purpose, business_key, generation, key, "", "", None, {}, "", "", None, None,
        PENDING, _NEVER,
    )  # fmt: skip


def _frozen(command: Command, params: Mapping[str, Any]) -> Command:
    """With its parameters, which name the command and its owner. A verb that takes no metadata gets none."""
    frozen = dict(params)
    if command.verb in ("create", "update"):
        named = {"command": str(command.id), "organization": str(command.organization)}
        frozen["metadata"] = {**frozen.get("metadata", {}), **named}
    return replace(command, params=frozen, params_hash=params_hash(frozen))

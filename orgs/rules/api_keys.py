"""API keys: how a secret is made and kept, and the facts of a key's life.

A secret is `cfk_` and 160 random bits in hex. Stored are its SHA-256 (of random bits: no salt is needed) and
its first 12 characters, by which people tell keys apart; 128 bits stay unknown to whoever sees those.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.errors import Forbidden, InvalidField, InvalidPeriod, InvalidTransition
from orgs.rules.facts import Fact, id_text, time_text, with_changes
from orgs.rules.permissions import Principal, may_issue, require_scope, require_setup
from orgs.rules.rows import ApiKey
from orgs.rules.scopes import ALL_SCOPES, PLATFORM

MARK: Final = "cfk_"
RANDOM_BYTES: Final = 20
SECRET_LENGTH: Final = len(MARK) + 2 * RANDOM_BYTES
PREFIX_LENGTH: Final = 12
DEFAULT_OVERLAP_SECONDS: Final = 86_400
MAX_OVERLAP_SECONDS: Final = 30 * 86_400


def new_secret() -> str:
    """A new secret in clear."""
    return MARK + secrets.token_hex(RANDOM_BYTES)


def prefix_of(secret: str) -> str:
    """What may be shown of a secret."""
    return secret[:PREFIX_LENGTH]


def hash_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def looks_like_secret(text: str) -> bool:
    """Whether it is worth asking the database for this text."""
    return len(text) == SECRET_LENGTH and text.startswith(MARK) and text.isascii()


def sealed(secret: str, *, key_id: UUID, server_key: str) -> str:
    """The secret as it may lie in the stored answer to an idempotency key; only this server can open it.

    XOR with a keystream that is used once: the id of the key is in it.
    """
    return _xor(bytes.fromhex(secret.removeprefix(MARK)), key_id, server_key).hex()


def opened(text: str, *, key_id: UUID, server_key: str) -> str:
    """The secret in clear from its sealed form."""
    return MARK + _xor(bytes.fromhex(text), key_id, server_key).hex()


def created(key: ApiKey, *, wall: datetime) -> Fact:
    """The fact that makes a key. Raises InvalidPeriod when it would have expired already, InvalidField."""
    if key.expires_at is not None and key.expires_at <= wall:
        raise InvalidPeriod("A key expires in the future.", pointer="/expires_at")
    if not key.scopes or not ALL_SCOPES.issuperset(key.scopes):
        raise InvalidField("A key has at least one of the known scopes.", pointer="/scopes")
    return _fact(key, "created", _data(key), at=wall)


def changed(key: ApiKey, *, changes: Mapping[str, Any], wall: datetime) -> Fact | None:
    """The fact of another name or end; None when nothing would be different.

    Raises InvalidTransition for a key that is not live, InvalidPeriod for an end that is past.
    """
    _require_live(key, wall)
    new = replace(key, **changes)
    if new.expires_at is not None and new.expires_at <= wall:
        raise InvalidPeriod("A key expires in the future; to end it now, revoke it.", pointer="/expires_at")
    return _next(key, new, "changed", wall)


def revoked(key: ApiKey, *, wall: datetime) -> Fact | None:
    """The fact of revoking, effective at once; None when it is revoked already."""
    if key.revoked_at is not None:
        return None
    return _next(key, replace(key, revoked_at=wall), "revoked", wall)


def rotated(
    key: ApiKey,
    successor: ApiKey,
    *,
    overlap_seconds: int,
    predecessor: ApiKey | None,
    has_successor: bool,
    wall: datetime,
) -> list[Fact]:
    """The facts of a rotation: a successor is made, the key ends after the overlap; never three are live.

    `predecessor`: the key that this one came from, which is revoked if it is still live. Raises
    InvalidTransition for a key that is not live or has a live successor.
    """
    _require_live(key, wall)
    if has_successor:
        raise InvalidTransition("The key was rotated before, and its successor is live.")
    facts = [created(successor, wall=wall)]
    end = wall + timedelta(seconds=overlap_seconds)
    ending = replace(key, expires_at=end if key.expires_at is None else min(end, key.expires_at))
    facts += [fact for fact in (_next(key, ending, "rotated", wall),) if fact is not None]
    if predecessor is not None and predecessor.is_live(wall):
        facts += [fact for fact in (revoked(predecessor, wall=wall),) if fact is not None]
    return facts


def require_key_scopes(principal: Principal, scopes: Collection[str], *, platform_key: bool) -> None:
    """Refuse who may not give a key these scopes: keys for the platform come from the platform only.

    Raises Forbidden, and InvalidField for the scope platform on a customer's key.
    """
    require_setup(principal)
    if not platform_key and PLATFORM not in scopes:
        return
    require_scope(principal, PLATFORM)
    if not platform_key:
        raise InvalidField("The scope platform is for keys of the platform only.", pointer="/scopes")


def require_no_escalation(principal: Principal, key: ApiKey, *, role: str | None) -> None:
    """Refuse to hand out a key that can do more than whoever asks for it (S43). `role`: that of the key's member.

    Whoever makes or rotates a key sees its secret. Raises Forbidden.
    """
    if PLATFORM in key.scopes and PLATFORM not in principal.scopes:
        raise Forbidden
    is_limited = key.agent_ids is not None or key.connection_ids is not None
    if not may_issue(principal, key.scopes, role=role, is_limited=is_limited):
        raise Forbidden("This key could do more than the member's role of the key that asks for it allows.")


def _require_live(key: ApiKey, wall: datetime) -> None:
    if not key.is_live(wall):
        raise InvalidTransition("The key is revoked or has expired.")


def _xor(raw: bytes, key_id: UUID, server_key: str) -> bytes:
    stream = hmac.digest(b"counterfoil.api-key." + server_key.encode(), key_id.bytes, "sha256")
    return bytes(a ^ b for a, b in zip(raw, stream, strict=False))


def _next(old: ApiKey, new: ApiKey, verb: str, at: datetime) -> Fact | None:
    before, data = _data(old), _data(new)
    if before == data:
        return None
    return _fact(replace(new, version=old.version + 1), verb, with_changes(data, before), at=at)


def _fact(key: ApiKey, verb: str, data: Mapping[str, Any], *, at: datetime) -> Fact:
    return Fact(key.organization, "api_key", key.id, key.version, verb, data, at)


def _data(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "secret_hash": key.secret_hash.hex(),
        "scopes": list(key.scopes),
        "member_id": id_text(key.member_id),
        "agent_ids": _id_texts(key.agent_ids),
        "connection_ids": _id_texts(key.connection_ids),
        "expires_at": time_text(key.expires_at),
        "revoked_at": time_text(key.revoked_at),
        "rotated_from": id_text(key.rotated_from),
        "created_at": time_text(key.created_at),
    }


def _id_texts(ids: tuple[UUID, ...] | None) -> list[str] | None:
    return None if ids is None else [str(identifier) for identifier in ids]

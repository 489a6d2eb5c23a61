"""Idempotency keys: an accepted call is answered once, and its repetitions get the same answer.

The answer is stored in the transaction of the effect: there is no effect without its answer and no answer
without its effect. A refused call stores nothing. Keys belong to an organization and are kept 30 days.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from backports import zstd
from psycopg import errors as database_errors

from common.errors import (
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
)
from common.strictjson import canonical_digest
from common.transactions import run_in_transaction

WAIT_MILLISECONDS: Final = 2_000
RETENTION_DAYS: Final = 30
UNIQUE_CONSTRAINTS: Final = frozenset(f"api_idempotency_keys_{part}_pkey" for part in range(8))
"""The names under which two simultaneous stores of one key collide; a second run finds the stored answer."""

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
# Made by common/answerwords.py. A change makes the answers kept before it unreadable for the rest of their 30 days.
_WORDS: Final = (Path(__file__).parent / "answers.zdict").read_bytes()
_COMPRESSION_LEVEL: Final = 3
"""Four bytes of a hundred more than level 6, for an eighth of its time, which was a tenth of the gate's Python."""
_DIGEST_BYTES: Final = 16
_DICTIONARY: Final = zstd.ZstdDict(_WORDS)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """What a call with an idempotency key asked for; an equal digest means the same call."""

    organization: UUID
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status and bytes, and whether it was given before."""

    status: int
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it is kept, with the call that it was given to."""

    request: KeyedRequest
    answer: Answer


class _Press(threading.local):
    """A compressor of each thread's own; frames carry no sizes, checksums and names of dictionaries."""

    def __init__(self) -> None:
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: _COMPRESSION_LEVEL,
            zstd.CompressionParameter.content_size_flag: 0,
            zstd.CompressionParameter.checksum_flag: 0,
            zstd.CompressionParameter.dict_id_flag: 0,
        }
        self.compressor = zstd.ZstdCompressor(options=options, zstd_dict=_DICTIONARY.as_digested_dict)


_press: Final = _Press()


def packed(body: bytes) -> bytes:
    """An answer as it is kept: compressed against the words that answers are made of."""
    return _press.compressor.compress(body, zstd.ZstdCompressor.FLUSH_FRAME)


def unpacked(kept: bytes) -> bytes:
    """The answer that was kept."""
    return zstd.decompress(kept, zstd_dict=_DICTIONARY)


def read_key(header: str | None, *, required: bool) -> str | None:
    """The idempotency key of a header. Raises IdempotencyKeyRequired and IdempotencyKeyInvalid."""
    if header is None:
        if required:
            raise IdempotencyKeyRequired
        return None
    if not _KEY.fullmatch(header):
        raise IdempotencyKeyInvalid
    return header


def key_digest(key: str) -> str:
    """The name under which a key's answer is kept: 16 bytes of its SHA-256, written as an id."""
    digits = hashlib.sha256(key.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def keyed_request(*, organization: UUID, key: str, method: str, path: str, body: Any) -> KeyedRequest:
    """The call as it is compared with a stored one: the body as a JSON value, not as bytes."""
    digest = request_digest(method=method, path=path, value=canonical_digest(body))
    return KeyedRequest(organization, key, digest)


def request_digest(*, method: str, path: str, value: bytes) -> bytes:
    """The digest (16 bytes) of a call whose body's JSON value has the canonical digest `value`."""
    return hashlib.sha256(f"{method} {path}\n".encode() + value).digest()[:_DIGEST_BYTES]


def lookup(
    cur: psycopg.Cursor[Any], *, organization: UUID, keys: Sequence[str]
) -> dict[tuple[UUID, str], StoredAnswer]:
    """The stored answers of one organization's keys, by (organization, key)."""
    asked = {"organization": organization, "keys": [key_digest(key) for key in keys]}
    return _stored(cur.execute(_LOOKUP, asked), keys)


def lookup_many(
    cur: psycopg.Cursor[Any], *, pairs: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], StoredAnswer]:
    """The stored answers of many organizations' keys, by (organization, key), in one statement."""
    asked = {"organizations": [pair[0] for pair in pairs], "keys": [key_digest(pair[1]) for pair in pairs]}
    return _stored(cur.execute(_LOOKUP_MANY, asked), [pair[1] for pair in pairs])


def replay(request: KeyedRequest, stored: StoredAnswer) -> Answer:
    """The stored answer for this call. Raises IdempotencyKeyReused when it was given to another call."""
    if stored.request.digest != request.digest:
        raise IdempotencyKeyReused
    return Answer(stored.answer.status, stored.answer.body, replayed=True)


def store(cur: psycopg.Cursor[Any], stored: Iterable[StoredAnswer]) -> None:
    """Keep the answers of accepted calls, in the transaction of their effects.

    The row of a key that exists already raises UniqueViolation with one of UNIQUE_CONSTRAINTS; the whole
    transaction is then to be run again, and `lookup` will find the other's answer.
    """
    rows = list(stored)
    if not rows:
        return
    cur.execute(
        _STORE,
        {
            "organizations": [row.request.organization for row in rows],
            "keys": [key_digest(row.request.key) for row in rows],
            "digests": [row.request.digest for row in rows],
            "statuses": [row.answer.status for row in rows],
            "bodies": [packed(row.answer.body) for row in rows],
        },
    )


def idempotent(
    operation: Callable[[psycopg.Cursor[Any]], Answer],
    *,
    request: KeyedRequest | None,
    alias: str = "default",
) -> Answer:
    """Run one operation in one transaction together with the answer to its key; without a key just run it.

    A second call with the same key waits up to 2 s for the first and then gives its answer. Raises
    IdempotencyKeyReused, IdempotencyInFlight, what `run_in_transaction` raises and what the operation
    raises; after an error nothing is stored, neither effect nor answer.
    """
    if request is None:
        return run_in_transaction(operation, alias=alias)

    def answered(cur: psycopg.Cursor[Any]) -> Answer:
        _wait_for_first(cur, request)
        known = lookup(cur, organization=request.organization, keys=[request.key])
        if known:
            return replay(request, known[request.organization, request.key])
        answer = operation(cur)
        if 200 <= answer.status < 300:
            store(cur, [StoredAnswer(request, answer)])
        return answer

    return run_in_transaction(answered, alias=alias, retry_unique=UNIQUE_CONSTRAINTS)


def purge_idempotency_keys(cur: psycopg.Cursor[Any], *, limit: int = 5_000) -> int:
    """Delete up to `limit` keys older than 30 days and return how many; the caller goes on until it is 0."""
    return cur.execute(_PURGE, {"days": RETENTION_DAYS, "limit": limit}).rowcount


def _wait_for_first(cur: psycopg.Cursor[Any], request: KeyedRequest) -> None:
    """Let one call with this key through at a time; the lock ends with the transaction."""
    row = cur.execute("SELECT current_setting('lock_timeout')").fetchone()
    before = row[0] if row else "0"
    cur.execute("SELECT set_config('lock_timeout', %s, true)", (f"{WAIT_MILLISECONDS}ms",))
    try:
        cur.execute("SELECT pg_advisory_xact_lock(%s)", (_lock_number(request),))
    except database_errors.LockNotAvailable:
        raise IdempotencyInFlight(retry_after=1) from None
    cur.execute("SELECT set_config('lock_timeout', %s, true)", (before,))


def _lock_number(request: KeyedRequest) -> int:
    digest = hashlib.sha256(b"api_idempotency_keys" + request.organization.bytes + request.key.encode())
    return int.from_bytes(digest.digest()[:8], "big", signed=True)


def _stored(cur: psycopg.Cursor[Any], asked: Iterable[str]) -> dict[tuple[UUID, str], StoredAnswer]:
    keys = {key_digest(key): key for key in asked}
    found = {}
    for organization, name, digest, status, body in cur.fetchall():
        key = keys[name]
        request = KeyedRequest(organization, key, bytes(digest))
        found[organization, key] = StoredAnswer(request, Answer(status, unpacked(bytes(body))))
    return found


_LOOKUP: Final = """
SELECT organization, key_digest::text, request, status, body
FROM api_idempotency_keys
WHERE organization = %(organization)s AND key_digest = ANY (%(keys)s::uuid[])
"""

# LATERAL, so that each pair is one probe of one partition's index whatever the planner thinks of the sizes.
_LOOKUP_MANY: Final = """
SELECT known.organization, known.key_digest::text, known.request, known.status, known.body
FROM unnest(%(organizations)s::uuid[], %(keys)s::uuid[]) AS asked (organization, key_digest)
CROSS JOIN LATERAL (
    SELECT * FROM api_idempotency_keys AS stored
    WHERE stored.organization = asked.organization AND stored.key_digest = asked.key_digest
    LIMIT 1
) AS known
"""

_STORE: Final = """
INSERT INTO api_idempotency_keys (organization, key_digest, request, status, body)
SELECT * FROM unnest(
    %(organizations)s::uuid[], %(keys)s::uuid[], %(digests)s::bytea[],
    %(statuses)s::smallint[], %(bodies)s::bytea[]
)
"""

_PURGE: Final = """
DELETE FROM api_idempotency_keys AS stored
USING (
    SELECT organization, key_digest FROM api_idempotency_keys
    WHERE created_at < clock_timestamp() - make_interval(days => %(days)s)
    LIMIT %(limit)s
) AS old
WHERE stored.organization = old.organization AND stored.key_digest = old.key_digest
"""

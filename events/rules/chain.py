"""The arithmetic of seals: digests of rows, the Merkle root over them, and the hash that chains one to the next.

A leaf is SHA-256(0x00, kind, key, digest), a node SHA-256(0x01, left, right), an odd last node rises unchanged (the
tree of RFC 6962). The kinds separate the five lists, so that no row can stand for one of another table.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

FORMAT: Final = 1
"""Which columns and which encoding the digests of new seals are made of."""

DIGEST_BYTES: Final = 16
EVENT_ITEM_BYTES: Final = 8 + DIGEST_BYTES
FACT_ITEM_BYTES: Final = 16 + DIGEST_BYTES
FIRST_PREVIOUS: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedLists:
    """Keys and digests of a batch: events as (8-byte seq, digest), the others as (16-byte id, digest), packed and in
    the order of their keys."""

    events: bytes
    entries: bytes
    usage: bytes
    decisions: bytes
    meter_events: bytes = b""

    @property
    def is_empty(self) -> bool:
        """Whether the batch holds no fact."""
        return not (self.events or self.entries or self.usage or self.decisions or self.meter_events)

    def leaves(self) -> list[bytes]:
        """Return the leaves of the Merkle tree."""
        found = _leaves(b"E", self.events, EVENT_ITEM_BYTES)
        found += _leaves(b"J", self.entries, FACT_ITEM_BYTES)
        found += _leaves(b"U", self.usage, FACT_ITEM_BYTES)
        found += _leaves(b"D", self.decisions, FACT_ITEM_BYTES)
        found += _leaves(b"M", self.meter_events, FACT_ITEM_BYTES)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SealHeader:
    """What a seal's hash is made of."""

    number: int
    format: int
    epoch: int
    lo: int
    hi: int
    seq_after: int
    seq_to: int
    event_count: int
    root: bytes
    previous: bytes
    sealed_at: datetime

    def hash(self) -> bytes:
        """Return the hash that the next seal names as its previous one."""
        at = self.sealed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        numbers = (
            self.number, self.format, self.epoch, self.lo, self.hi, self.seq_after, self.seq_to, self.event_count,
        )  # fmt: skip
        text = "|".join([*map(str, numbers), at, self.root.hex(), self.previous.hex()])
        return sha256(text.encode("ascii")).digest()


def merkle_root(leaves: list[bytes]) -> bytes:
    """Return the root over hashed leaves; of none, the hash of nothing."""
    if not leaves:
        return sha256(b"").digest()
    level = leaves
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def _leaves(kind: bytes, items: bytes, size: int) -> list[bytes]:
    prefix = b"\x00" + kind
    return [sha256(prefix + items[at : at + size]).digest() for at in range(0, len(items), size)]

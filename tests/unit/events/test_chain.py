"""The arithmetic of seals, against the tree's definition (RFC 6962) written down once more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.rules.chain import SealedLists, SealHeader, merkle_root

HEADER = SealHeader(
    number=7, format=1, epoch=2, lo=10, hi=20, seq_after=5, seq_to=9, event_count=4, root=b"r" * 32,
    previous=b"p" * 32, sealed_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
)  # fmt: skip


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def recursive_root(leaves: list[bytes]) -> bytes:
    """As RFC 6962 defines it: split at the largest power of two below the number of leaves."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


class TestTheMerkleRoot:
    def test_of_nothing_is_the_hash_of_nothing(self) -> None:
        assert merkle_root([]) == sha256(b"").digest()

    @given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
    def test_is_that_of_the_recursive_definition(self, leaves: list[bytes]) -> None:
        assert merkle_root(leaves) == recursive_root(leaves)

    def test_changes_with_the_order_of_leaves(self) -> None:
        one, two = sha256(b"1").digest(), sha256(b"2").digest()

        assert merkle_root([one, two]) != merkle_root([two, one])


class TestTheLeaves:
    def test_of_one_table_never_stand_for_those_of_another(self) -> None:
        item = bytes(32)
        nothing = SealedLists(events=b"", entries=b"", usage=b"", decisions=b"")
        found = {
            replace(nothing, entries=item).leaves()[0],
            replace(nothing, usage=item).leaves()[0],
            replace(nothing, decisions=item).leaves()[0],
        }

        assert len(found) == 3
        assert nothing.is_empty

    def test_are_one_per_row(self) -> None:
        lists = SealedLists(events=bytes(48), entries=bytes(32), usage=bytes(64), decisions=b"")

        assert len(lists.leaves()) == 2 + 1 + 2


class TestTheHash:
    @pytest.mark.parametrize(
        "change",
        [
            {"number": 8}, {"format": 2}, {"epoch": 3}, {"lo": 11}, {"hi": 21}, {"seq_after": 4}, {"seq_to": 10},
            {"event_count": 5}, {"root": b"q" * 32}, {"previous": b"q" * 32},
            {"sealed_at": HEADER.sealed_at + timedelta(microseconds=1)},
        ],
    )  # fmt: skip
    def test_changes_with_every_field(self, change: dict[str, object]) -> None:
        assert replace(HEADER, **change).hash() != HEADER.hash()  # type: ignore[arg-type]

    def test_is_the_same_in_every_time_zone(self) -> None:
        elsewhere = HEADER.sealed_at.astimezone(timezone(timedelta(hours=5, minutes=30)))

        assert replace(HEADER, sealed_at=elsewhere).hash() == HEADER.hash()

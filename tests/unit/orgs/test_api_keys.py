"""Secrets, and the life of a key, as pure decisions."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import InvalidField, InvalidPeriod, InvalidTransition
from common.ids import new_id
from orgs.rules.api_keys import (
    changed,
    created,
    hash_of,
    looks_like_secret,
    new_secret,
    opened,
    prefix_of,
    revoked,
    rotated,
    sealed,
)
from orgs.rules.rows import ApiKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def key(**given: object) -> ApiKey:
    whole = ApiKey(
        id=new_id(),
        organization=new_id(),
        name="ci",
        prefix="cfk_00000000",
        secret_hash=b"\x01" * 32,
        scopes=("spend:read",),
        member_id=None,
        agent_ids=None,
        connection_ids=None,
        expires_at=None,
        version=1,
        created_at=NOW,
    )
    return replace(whole, **given)  # type: ignore[arg-type]


class TestASecret:
    def test_has_160_random_bits_and_a_mark(self) -> None:
        made = {new_secret() for _ in range(1_000)}
        assert len(made) == 1_000
        assert all(looks_like_secret(secret) for secret in made)
        assert {len(bytes.fromhex(secret.removeprefix("cfk_"))) for secret in made} == {20}

    def test_shows_32_bits_of_itself_so_that_128_stay_unknown(self) -> None:
        assert len(prefix_of(new_secret()).removeprefix("cfk_")) * 4 == 160 - 128

    def test_is_stored_as_its_sha_256(self) -> None:
        secret = new_secret()
        assert hash_of(secret) == hashlib.sha256(secret.encode()).digest()

    def test_is_opened_only_with_the_same_server_key_and_key_id(self) -> None:
        secret, identifier = new_secret(), new_id()
        closed = sealed(secret, key_id=identifier, server_key="s")
        assert secret[4:] not in closed
        assert opened(closed, key_id=identifier, server_key="s") == secret
        assert opened(closed, key_id=new_id(), server_key="s") != secret
        assert opened(closed, key_id=identifier, server_key="t") != secret

    @pytest.mark.parametrize("text", ["", "cfk_", "cfk_" + "0" * 39, "cfx_" + "0" * 40, "cfk_" + "é" * 40])
    def test_of_another_shape_is_not_looked_for(self, text: str) -> None:
        assert not looks_like_secret(text)


class TestMaking:
    def test_says_the_whole_definition(self) -> None:
        fact = created(key(), wall=NOW)
        assert (fact.stream_type, fact.verb, fact.version, fact.at) == ("api_key", "created", 1, NOW)
        assert dict(fact.data) == {
            "name": "ci",
            "prefix": "cfk_00000000",
            "secret_hash": "01" * 32,
            "scopes": ["spend:read"],
            "member_id": None,
            "agent_ids": None,
            "connection_ids": None,
            "expires_at": None,
            "revoked_at": None,
            "rotated_from": None,
            "created_at": "2026-03-01T12:00:00Z",
        }

    def test_needs_an_end_in_the_future_and_known_scopes(self) -> None:
        with pytest.raises(InvalidPeriod):
            created(key(expires_at=NOW), wall=NOW)
        for scopes in ((), ("root",)):
            with pytest.raises(InvalidField):
                created(key(scopes=scopes), wall=NOW)


class TestEnding:
    def test_is_at_once_when_revoked_and_happens_once(self) -> None:
        fact = revoked(key(version=3), wall=NOW)
        assert fact is not None
        assert (fact.verb, fact.version) == ("revoked", 4)
        assert fact.data["changed"] == {"revoked_at": [None, "2026-03-01T12:00:00Z"]}
        assert revoked(key(revoked_at=NOW), wall=NOW) is None

    def test_is_exactly_at_the_end(self) -> None:
        ending = key(expires_at=NOW)
        assert ending.is_live(NOW - timedelta(microseconds=1))
        assert not ending.is_live(NOW)

    def test_cannot_be_taken_back_by_a_change(self) -> None:
        for gone in (key(revoked_at=NOW), key(expires_at=NOW)):
            with pytest.raises(InvalidTransition):
                changed(gone, changes={"expires_at": None}, wall=NOW)

    def test_cannot_be_set_into_the_past(self) -> None:
        with pytest.raises(InvalidPeriod):
            changed(key(), changes={"expires_at": NOW}, wall=NOW)


class TestRotating:
    def _facts(
        self, old: ApiKey, predecessor: ApiKey | None = None, seconds: int = 60
    ) -> list[tuple[str, str]]:
        successor = replace(old, id=new_id(), rotated_from=old.id, version=1)
        facts = rotated(
            old,
            successor,
            overlap_seconds=seconds,
            predecessor=predecessor,
            has_successor=False,
            wall=NOW,
        )
        return [(fact.verb, str(fact.data["expires_at"])) for fact in facts]

    def test_ends_the_old_key_after_the_overlap(self) -> None:
        assert self._facts(key()) == [("created", "None"), ("rotated", "2026-03-01T12:01:00Z")]

    def test_never_lengthens_the_old_keys_life(self) -> None:
        end = NOW + timedelta(seconds=30)
        facts = self._facts(key(expires_at=end))
        assert facts == [("created", "2026-03-01T12:00:30Z")]

    def test_ends_a_predecessor_that_is_still_live(self) -> None:
        facts = self._facts(key(), predecessor=key())
        assert [verb for verb, _ in facts] == ["created", "rotated", "revoked"]
        facts = self._facts(key(), predecessor=key(expires_at=NOW))
        assert [verb for verb, _ in facts] == ["created", "rotated"]

    def test_is_refused_while_a_successor_is_live(self) -> None:
        with pytest.raises(InvalidTransition):
            rotated(key(), key(), overlap_seconds=0, predecessor=None, has_successor=True, wall=NOW)

"""The keys that a process remembers: read when they must be, noted when they are used, bounded, never in clear."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
import pytest
from django.conf import settings

from common.errors import InvalidCredentials
from events.store import Cursor
from orgs.api import keyring as module
from orgs.api.keyring import Keyring
from orgs.operations.api_keys import IssuedKey, revoke_api_key
from orgs.queries.authentication import Known
from orgs.rules.api_keys import hash_of, new_secret
from tests.builders.orgs import AUTHOR, make_key, make_organization, write

T = TypeVar("T")


def admit(known: Known | None) -> Known:
    if known is None:
        raise InvalidCredentials
    return known


def on_a_keyring(use: Callable[[Keyring[Known]], Awaitable[T]], **given: Any) -> T:
    """What the use of a new keyring gives."""

    async def run() -> T:
        url = given.pop("url", settings.GATE_DATABASE_URL)
        keyring = Keyring(url, settings.GATE_CONNECTION_OPTIONS, admit=admit, **given)
        await keyring.open()
        try:
            return await use(keyring)
        finally:
            await keyring.close()

    return asyncio.run(run())


def header(issued: IssuedKey | str) -> str:
    return f"Bearer {issued if isinstance(issued, str) else issued.secret}"


def revoke(issued: IssuedKey) -> None:
    key = issued.key
    write(lambda cur: revoke_api_key(cur, organization=key.organization, name=str(key.id), author=AUTHOR))


def last_used(issued: IssuedKey) -> datetime | None:
    def read(cur: Cursor) -> datetime | None:
        row = cur.execute("SELECT last_used_at FROM api_keys WHERE id = %s", (issued.key.id,)).fetchone()
        assert row is not None
        found: datetime | None = row[0]
        return found

    return write(read)


class TestAKey:
    def test_is_read_once_and_remembered_with_the_epoch_of_its_organization(self) -> None:
        organization = make_organization()
        issued = make_key(organization, "spend:write")

        async def use(keyring: Keyring[Known]) -> tuple[Any, Any, Any]:
            before = keyring.remembered(header(issued))
            read = await keyring.read(header(issued))
            return before, read, keyring.remembered(header(issued))

        before, read, after = on_a_keyring(use)
        assert before is None
        assert after is read
        assert (read.value.principal.organization, read.value.epoch) == (organization, 2)
        assert read.value.secret_hash == hash_of(issued.secret)

    @pytest.mark.parametrize(
        "text", [None, "", "Bearer", "Bearer x", "Basic cfk_1", "Bearer cfk_" + "x" * 39]
    )
    def test_that_is_none_is_refused_without_a_question(self, text: str | None) -> None:
        async def use(keyring: Keyring[Known]) -> None:
            with pytest.raises(InvalidCredentials):
                keyring.remembered(text)
            with pytest.raises(InvalidCredentials):
                await keyring.read(text)

        on_a_keyring(use, url="postgresql://nobody@127.0.0.1:1/nothing")

    def test_that_nobody_made_or_that_was_revoked_is_refused_and_forgotten(self) -> None:
        issued = make_key(make_organization())

        async def use(keyring: Keyring[Known]) -> None:
            await keyring.read(header(issued))
            await asyncio.to_thread(revoke, issued)
            for secret in (issued.secret, new_secret()):
                with pytest.raises(InvalidCredentials):
                    await keyring.read(header(secret))
                assert keyring.remembered(header(secret)) is None

        on_a_keyring(use)

    def test_is_forgotten_when_its_time_is_over(self) -> None:
        issued = make_key(make_organization(), expires_at=datetime.now(UTC) + timedelta(seconds=1.2))

        async def use(keyring: Keyring[Known]) -> None:
            await keyring.read(header(issued))
            assert keyring.remembered(header(issued)) is not None
            await asyncio.sleep(1.3)
            assert keyring.remembered(header(issued)) is None
            with pytest.raises(InvalidCredentials):
                await keyring.read(header(issued))

        on_a_keyring(use)

    def test_is_not_kept_in_clear(self) -> None:
        issued = make_key(make_organization())

        async def use(keyring: Keyring[Known]) -> str:
            entry = await keyring.read(header(issued))
            return repr((keyring.__dict__, entry.value, [getattr(entry, name) for name in entry.__slots__]))

        assert issued.secret not in on_a_keyring(use)


def test_those_used_longest_ago_give_way() -> None:
    organization = make_organization()
    keys = [make_key(organization) for _ in range(4)]

    async def use(keyring: Keyring[Known]) -> list[bool]:
        for key in keys[:3]:
            await keyring.read(header(key))
        keyring.remembered(header(keys[0]))
        await keyring.read(header(keys[3]))
        return [keyring.remembered(header(key)) is not None for key in keys]

    assert on_a_keyring(use, max_keys=3) == [True, False, True, True]


def test_many_are_read_at_once() -> None:
    organizations = [make_organization() for _ in range(3)]
    keys = [make_key(organization) for organization in organizations for _ in range(10)]

    async def use(keyring: Keyring[Known]) -> list[Any]:
        return await asyncio.gather(*(keyring.read(header(key)) for key in [*keys, *keys]))

    found = on_a_keyring(use)
    assert [entry.key_id for entry in found] == [key.key.id for key in keys] * 2


def test_a_question_is_not_answered_by_what_was_asked_before_it() -> None:
    """A statement that was under way may have seen the key before it was revoked."""
    issued = make_key(make_organization())

    async def use(keyring: Keyring[Known]) -> None:
        earlier = asyncio.ensure_future(keyring.read(header(issued)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it is on its way
        await asyncio.to_thread(revoke, issued)
        with pytest.raises(InvalidCredentials):
            await keyring.read(header(issued))
        await asyncio.gather(earlier, return_exceptions=True)

    on_a_keyring(use)


def test_a_use_is_noted_once_a_minute_beside_the_call() -> None:
    issued = make_key(make_organization())
    assert last_used(issued) is None

    async def use(keyring: Keyring[Known]) -> datetime | None:
        await keyring.read(header(issued))
        deadline = time.monotonic() + 5
        while (noted := await asyncio.to_thread(last_used, issued)) is None and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for _ in range(5):
            keyring.remembered(header(issued))
        await keyring.read(header(issued))
        await asyncio.sleep(0.2)
        return noted

    noted = on_a_keyring(use)
    assert noted is not None
    assert last_used(issued) == noted


def test_one_in_use_is_read_again_after_a_while_beside_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    organization = make_organization()
    issued = make_key(organization)
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.1)

    async def use(keyring: Keyring[Known]) -> list[int]:
        first = await keyring.read(header(issued))
        await asyncio.to_thread(make_key, organization)
        await asyncio.sleep(0.15)
        again = keyring.remembered(header(issued))
        assert again is first
        await asyncio.sleep(0.3)
        later = keyring.remembered(header(issued))
        assert later is not None
        return [first.value.epoch, later.value.epoch]

    assert on_a_keyring(use) == [2, 3]


def test_without_a_database_the_question_fails_in_time() -> None:
    async def use(keyring: Keyring[Known]) -> float:
        begun = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            await keyring.read(header(new_secret()))
        return time.monotonic() - begun

    assert on_a_keyring(use, url="postgresql://nobody@127.0.0.1:1/nothing") < 4

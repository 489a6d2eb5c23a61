"""Organizations, what belongs to them and their keys, made by the operations; each test takes its own."""

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor, append
from orgs import PLATFORM_ID
from orgs.operations import create
from orgs.operations.api_keys import IssuedKey, NewApiKey, create_api_key
from orgs.operations.create import NewSubject
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.operations.organizations import created_event
from orgs.rules.rows import Member, Subject
from tests.builders.rsgi import Http

_T = TypeVar("_T")
AUTHOR = Author("system:test")


def write(operation: Callable[[Cursor], _T]) -> _T:
    """Run an operation in a transaction of its own."""
    return run_in_transaction(operation)


def make_organization(**given: Any) -> UUID:
    """A customer without accounts: enough for everything below the ledger."""
    identifier = new_id()
    values = {
        "name": "Acme",
        "currency": "USD",
        "time_zone": "UTC",
        "funding": "prepaid",
        "credit_limit": None,
        **given,
    }

    def operation(cur: Cursor) -> None:
        platform = lock_organization(cur, PLATFORM_ID)
        append(cur, [created_event(organization=identifier, now=platform.now, author=AUTHOR, **values)])

    write(operation)
    return identifier


def make_key(organization: UUID, *scopes: str, **given: Any) -> IssuedKey:
    """A key of the organization; with `member`, `agents`, `connections` or `expires_at` when given."""
    new = NewApiKey(organization, "test", scopes or ("admin", "spend:write", "spend:read"), **given)
    return write(lambda cur: create_api_key(cur, new, author=AUTHOR))


def make_team(organization: UUID, key: str = "research", name: str = "Research") -> Subject:
    """A team."""
    return write(lambda cur: create.create_team(cur, NewSubject(organization, key, name), author=AUTHOR))


def make_agent(
    organization: UUID, key: str = "research-bot", name: str = "Research bot", team: str | None = None
) -> Subject:
    """An agent, in a team when its key or id is given."""
    new = NewSubject(organization, key, name)
    return write(lambda cur: create.create_agent(cur, new, team=team, author=AUTHOR))


def make_workflow(organization: UUID, key: str = "weekly", name: str = "Weekly report") -> Subject:
    """A workflow."""
    return write(lambda cur: create.create_workflow(cur, NewSubject(organization, key, name), author=AUTHOR))


def make_connection(
    organization: UUID, key: str = "main", name: str = "Main", billing: str = "resold"
) -> Subject:
    """A connection."""
    new = NewSubject(organization, key, name)
    return write(lambda cur: create.create_connection(cur, new, billing=billing, author=AUTHOR))


def make_member(organization: UUID, role: str = "owner", team: str | None = None) -> Member:
    """A member."""
    return write(
        lambda cur: create.create_member(
            cur,
            organization=organization,
            role=role,
            team=team,
            name="Ada Lovelace",
            email="ada@example.com",
            author=AUTHOR,
        )
    )


_LOCAL = threading.local()


def http() -> Http:
    """This thread's HTTP client; a new one would read all static files again."""
    if not hasattr(_LOCAL, "client"):
        _LOCAL.client = Http()
    client: Http = _LOCAL.client
    return client


@dataclass
class Caller:
    """An HTTP client with a key."""

    secret: str

    def get(self, path: str, **query: str) -> Any:
        return http().get(path, query, headers=self._headers())

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = self._headers() | ({"Idempotency-Key": key} if key else {})
        return http().post(path, body, content_type="application/json", headers=headers)

    def put(self, path: str, body: Any) -> Any:
        return http().put(path, body, content_type="application/json", headers=self._headers())

    def patch(self, path: str, body: Any) -> Any:
        return http().patch(path, body, content_type="application/json", headers=self._headers())

    def delete(self, path: str) -> Any:
        return http().delete(path, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


def caller(organization: UUID, *scopes: str, **given: Any) -> Caller:
    """A client with a new key of the organization."""
    return Caller(make_key(organization, *scopes, **given).secret)


def platform() -> Caller:
    """A client with a key of the platform."""
    return caller(PLATFORM_ID, "platform")


def unique(prefix: str = "k") -> str:
    """A key that no other test uses."""
    return f"{prefix}-{secrets.token_hex(4)}"


def events_of(organization: UUID) -> list[tuple[Any, ...]]:
    """The organization's events in their order: (type, stream_id, version, actor, data)."""

    def read(cur: Cursor) -> list[tuple[Any, ...]]:
        cur.execute(
            "SELECT type, stream_id, version, actor, data FROM events WHERE organization = %s ORDER BY seq",
            (organization,),
        )
        # Django leaves jsonb to its own fields: on its connections it comes as text.
        return [(*row[:4], json.loads(row[4])) for row in cur.fetchall()]

    return write(read)


def config_epoch(organization: UUID) -> int:
    """What the gate's caches are compared with."""

    def read(cur: Cursor) -> int:
        row = cur.execute("SELECT config_epoch FROM organizations WHERE id = %s", (organization,)).fetchone()
        assert row is not None
        found: int = row[0]
        return found

    return write(read)

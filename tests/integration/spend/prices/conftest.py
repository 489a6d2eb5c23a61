"""Organizations and model names for tests of prices."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from common.ids import new_id
from common.transactions import run_in_transaction
from events.store import Cursor, append
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.operations.organizations import created_event

T = TypeVar("T")


def call(operation: Callable[..., T], **arguments: Any) -> T:
    """Run one operation or query in a transaction of its own."""
    return run_in_transaction(lambda cur: operation(cur, **arguments))


def make_organization(currency: str = "USD") -> UUID:
    """An organization without accounts: nothing here posts anything."""
    organization = new_id()

    def make(cur: Cursor) -> None:
        now = lock_organization(cur, PLATFORM_ID).now
        created = created_event(
            organization=organization,
            name=f"prices {organization}",
            currency=currency,
            time_zone="UTC",
            funding="prepaid",
            credit_limit=0,
            now=now,
            author=Author("system:test"),
        )
        append(cur, [created])

    run_in_transaction(make)
    return organization


def epoch(organization: UUID) -> int:
    """The organization's config_epoch."""

    def read(cur: Cursor) -> int:
        row = cur.execute("SELECT config_epoch FROM organizations WHERE id = %s", (organization,)).fetchone()
        assert row is not None
        return int(row[0])

    return run_in_transaction(read)


@pytest.fixture
def organization() -> UUID:
    """An organization in USD."""
    return make_organization()


@pytest.fixture
def model() -> str:
    """The name of a model that no other test has."""
    return f"model-{uuid4().hex[:12]}"

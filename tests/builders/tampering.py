"""Rows that somebody changed past the code and the triggers, and what the checks of `verify_ledger` say of them."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import psycopg

from events.store import Cursor
from tests.database import Session


def told(
    session: Session,
    violations: Callable[[Cursor], Iterable[Any]],
    tampering: str,
    organization: UUID,
    **given: Any,
) -> set[str]:
    """What the checks say of an organization after a tampering as superuser, which is taken back; `given`: beside
    `organization`, what the statement names."""
    with psycopg.connect(session.databases.superuser_url(session.name)) as connection:
        connection.execute("SET session_replication_role = replica")
        cur = connection.cursor()
        assert said(violations(cur), organization) == set()
        cur.execute(tampering.encode(), {"organization": organization, **given})
        assert cur.rowcount > 0
        found = said(violations(cur), organization)
        connection.rollback()
    return found


def said(found: Iterable[Any], organization: UUID) -> set[str]:
    """What was found of an organization: invariant and detail."""
    return {
        f"{getattr(one, 'invariant', 'B1')}: {one.detail}"
        for one in found
        if one.organization == organization
    }


def is_said(found: Iterable[str], invariant: str, words: str) -> bool:
    """Whether one of them is of this invariant and has these words."""
    return any(one.startswith(f"{invariant}: ") and words in one for one in found)

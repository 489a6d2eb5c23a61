"""Outbound commands: one, those that are due, lists, and how many wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.commands import HOLDING, Command
from common.errors import NotFound
from events.store import Cursor

_PARAMS: Final = 9
"""The column that is JSON text."""
_COMMAND: Final = """
SELECT id, organization, purpose, business_key, generation, key, resource, verb, target, params::text, params_hash,
    api_version, account, order_key, state, requested_at, first_sent_at, ended_at, object_id, request_id, error_code,
    decline_code, error, version, attempts, next_try_at, lease_until, looks, looked_at, note
FROM outbound_commands c
"""
_OPEN: Final = "state IN ('pending', 'sending', 'unknown')"
_IS_FIRST: Final = f"""
NOT EXISTS (SELECT 1 FROM outbound_commands e WHERE e.order_key = c.order_key AND e.id < c.id AND e.{_OPEN})
"""
"""Commands of one object go one after the other. Ids rise with time."""
_DUE: Final = f"""
SELECT id FROM outbound_commands c WHERE {_OPEN} AND next_try_at <= %s AND (lease_until IS NULL OR lease_until <= %s)
    AND {_IS_FIRST}
ORDER BY next_try_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
_NEWEST: Final = f"""{_COMMAND}
WHERE organization = %s AND purpose = %s AND business_key = %s ORDER BY generation DESC LIMIT 1
"""
_ABOUT: Final = f"""{_COMMAND}
WHERE organization = %s AND purpose = %s AND state = ANY(%s) AND params->'metadata'->>%s = %s ORDER BY id
"""
_WAITING: Final = f"""
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(requested_at)), 0)::float8,
    count(*) FILTER (WHERE state = 'unknown'),
    (SELECT count(*) FROM outbound_commands WHERE state = 'wrong')
FROM outbound_commands WHERE {_OPEN}
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Commands that wait: how many, how long the oldest has, how many of them are in doubt; how many need a person."""

    waiting: int
    oldest_seconds: float
    unknown: int
    wrong: int


def find_command(cur: Cursor, command: UUID, *, organization: UUID | None = None) -> Command:
    """Return a command. Raises NotFound, also for another organization's."""
    row = cur.execute(f"{_COMMAND} WHERE id = %s", (command,)).fetchone()
    if row is None or organization not in (None, row[1]):
        raise NotFound("There is no such command.")
    return _command(row)


def newest_command(cur: Cursor, *, organization: UUID, purpose: str, business_key: str) -> Command | None:
    """Return the newest generation of what is to happen; None: nobody asked for it."""
    row = cur.execute(_NEWEST, (organization, purpose, business_key)).fetchone()
    return None if row is None else _command(row)


def due_commands(cur: Cursor, *, now: datetime, limit: int) -> list[UUID]:
    """Return commands that are due and the first of their object, locked against others who ask the same."""
    return [row[0] for row in cur.execute(_DUE, (now, now, limit)).fetchall()]


def is_first_of_object(cur: Cursor, command: UUID) -> bool:
    """Whether no earlier command of the same object is still to be done."""
    found = cur.execute(f"SELECT 1 FROM outbound_commands c WHERE id = %s AND {_IS_FIRST}", (command,))
    return found.fetchone() is not None


def has_open_command(cur: Cursor, *, organization: UUID, purpose: str) -> bool:
    """Whether a command of this purpose is still to be done."""
    statement = (
        f"SELECT 1 FROM outbound_commands WHERE organization = %s AND purpose = %s AND {_OPEN} LIMIT 1"
    )
    return cur.execute(statement, (organization, purpose)).fetchone() is not None


def commands_about(cur: Cursor, *, organization: UUID, purpose: str, name: str, value: str) -> list[Command]:
    """Return the commands of a purpose that were done, or may still be, whose metadata says this."""
    rows = cur.execute(_ABOUT, (organization, purpose, list(HOLDING), name, value)).fetchall()
    return [_command(row) for row in rows]


def list_commands(
    cur: Cursor,
    *,
    organization: UUID | None = None,
    states: Sequence[str] = (),
    purpose: str | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Command]:
    """Return commands, newest first."""
    wanted: dict[str, Any] = {
        "organization = %s": organization,
        "state = ANY(%s)": list(states) or None,
        "purpose = %s": purpose,
        "id < %s": before,
    }
    given = {text: value for text, value in wanted.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    rows = cur.execute(f"{_COMMAND} {where} ORDER BY id DESC LIMIT %s", (*given.values(), limit)).fetchall()
    return [_command(row) for row in rows]


def backlog(cur: Cursor) -> Backlog:
    """Return how many commands wait, and for how long."""
    row = cur.execute(_WAITING).fetchone()
    assert row is not None
    return Backlog(row[0], row[1], row[2], row[3])


def _command(row: tuple[Any, ...]) -> Command:
    values: list[Any] = list(row)
    values[_PARAMS] = json.loads(values[_PARAMS])
    return Command(*values)

"""E1 for this app: the events alone give the same rows, one by one, in one batch, and in chunks of any size."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from events.store import Cursor, Event, projectors
from orgs.operations.api_keys import note_use, rotate_api_key
from orgs.operations.archive import archive_subject
from orgs.operations.facts import Author
from orgs.operations.organizations import close_organization, update_organization
from orgs.operations.update import update_member, update_subject
from orgs.queries.authentication import authenticate
from tests.builders.orgs import (
    AUTHOR,
    events_of,
    make_agent,
    make_connection,
    make_key,
    make_member,
    make_organization,
    make_team,
    make_workflow,
    write,
)

TABLES = ("organizations", "teams", "agents", "workflows", "connections", "members", "api_keys")


@pytest.fixture(scope="module")
def organization() -> UUID:
    """One in which everything happened."""
    made = make_organization(funding="postpaid", credit_limit=5)
    make_team(made, "research")
    make_agent(made, "bot", team="research")
    make_workflow(made)
    make_connection(made, billing="own_key")
    member = make_member(made, "member", "research")
    key = make_key(made, "spend:read", member=str(member.id), agents=["bot"], connections=["main"])
    write(lambda cur: update_organization(cur, organization=made, changes={"name": "New"}, author=AUTHOR))
    write(lambda cur: _update(cur, "agent", made, "bot", {"team": None, "name": "Bot 2"}))
    write(lambda cur: _update(cur, "connection", made, "main", {"billing": "resold"}))
    write(
        lambda cur: update_member(
            cur, organization=made, name=str(member.id), changes={"role": "team_owner"}, author=AUTHOR
        )
    )
    write(
        lambda cur: rotate_api_key(
            cur, organization=made, name=str(key.key.id), overlap_seconds=60, principal=None, author=AUTHOR
        )
    )
    write(lambda cur: archive_subject(cur, "workflow", organization=made, name="weekly", author=AUTHOR))
    write(lambda cur: close_organization(cur, organization=made, author=Author("staff:1")))
    return made


def _update(cur: Cursor, kind: str, organization: UUID, name: str, changes: dict[str, Any]) -> UUID:
    return update_subject(cur, kind, organization=organization, name=name, changes=changes, author=AUTHOR)


def _events(cur: Cursor, organization: UUID) -> list[Event]:
    cur.execute(
        "SELECT organization, stream_type, stream_id, version, type, data, occurred_at, actor FROM events "
        "WHERE organization = %s ORDER BY seq",
        (organization,),
    )
    return [Event(*row[:5], json.loads(row[5]), *row[6:]) for row in cur.fetchall()]


def _rows(cur: Cursor, schema: str, organization: UUID) -> dict[str, list[Any]]:
    found = {}
    for table in TABLES:
        owner = "id" if table == "organizations" else "organization"
        cur.execute(
            f"SELECT to_jsonb(t) - 'last_used_at' FROM {schema}.{table} t WHERE {owner} = %s ORDER BY id",
            (organization,),
        )
        found[table] = cur.fetchall()
    return found


def _rebuild(cur: Cursor, chunks: Sequence[Sequence[Event]]) -> None:
    for table in TABLES:
        cur.execute(f"CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL) ON COMMIT DROP")
    mine = [projector for projector in projectors() if projector.name.startswith("orgs.")]
    for chunk in chunks:
        for projector in mine:
            wanted = [event for event in chunk if projector.wants(event)]
            if wanted:
                projector.project(cur, wanted)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_a_replay_in_chunks_gives_the_live_rows(organization: UUID, size: int) -> None:
    def compare(cur: Cursor) -> None:
        events = _events(cur, organization)
        assert len(events) == 15
        live = _rows(cur, "public", organization)
        _rebuild(cur, [events[start : start + size] for start in range(0, len(events), size)])
        assert _rows(cur, "pg_temp", organization) == live

    write(compare)


def test_every_table_has_rows_to_compare(organization: UUID) -> None:
    rows = write(lambda cur: _rows(cur, "public", organization))
    assert all(rows[table] for table in TABLES)


def test_the_config_epoch_counts_the_changes(organization: UUID) -> None:
    def read(cur: Cursor) -> Any:
        return cur.execute("SELECT config_epoch FROM organizations WHERE id = %s", (organization,)).fetchone()

    assert write(read) == (15,)
    assert len(events_of(organization)) == 15


def test_the_versions_of_a_stream_count_from_one() -> None:
    made = make_organization()
    make_agent(made, "bot")
    for name in ("B", "C"):
        write(lambda cur, name=name: _update(cur, "agent", made, "bot", {"name": name}))
    versions = [event[2] for event in events_of(made) if event[0].startswith("agent.")]
    assert versions == [1, 2, 3]


def test_noting_a_use_is_no_event_and_no_change_of_the_epoch() -> None:
    made = make_organization()
    issued = make_key(made, "spend:read")
    before = events_of(made)
    principal = write(lambda cur: authenticate(cur, issued.secret))
    assert principal is not None
    assert not principal.use_is_noted
    write(lambda cur: note_use(cur, principal))
    again = write(lambda cur: authenticate(cur, issued.secret))
    assert again is not None
    assert again.use_is_noted
    assert events_of(made) == before

"""System checks of the database, for the entry points: refuse to serve where facts could be changed or lost.

`migrate` and the other commands do not run them: they ask for the aliases `default` and `gate` only when an entry
point does.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections

from events.store import Cursor
from events.tables import FACTS

SERVING: Final = ("default", "gate")
_OLDEST_VERSION: Final = 150_000
_FACT_TABLES: Final = [*(table.name for table in FACTS), "seals"]
_MAY_INSERT: Final = {"default": _FACT_TABLES, "gate": [table.name for table in FACTS]}

_ROLE: Final = """
SELECT rolsuper OR rolbypassrls OR rolreplication, pg_has_role(current_user, (SELECT relowner FROM pg_class
    WHERE oid = to_regclass('public.events')), 'MEMBER'), rolname FROM pg_roles WHERE rolname = current_user
"""
_REPLICA_ROLE: Final = "SELECT has_parameter_privilege(current_user, 'session_replication_role', 'SET')"
_SETTINGS: Final = """
SELECT name, current_setting(name) FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
"""
_IDENTIFIER: Final = """
SELECT e.system_identifier, c.system_identifier FROM event_store e, pg_control_system() c
"""
# Fact tables and their partitions.
_PARTS: Final = """
WITH parts AS (
    SELECT c.oid, c.relname, c.relname AS parent, c.relispartition FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s)
    UNION ALL
    SELECT c.oid, c.relname, p.relname, true FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_class p ON p.oid = i.inhparent WHERE p.relnamespace = 'public'::regnamespace AND p.relname = ANY(%s)
)
"""
_UNGUARDED: Final = (
    _PARTS
    + """
SELECT p.relname, wanted.name FROM parts p
CROSS JOIN (VALUES ('refuse_change', 27), ('refuse_truncate', 34)) AS wanted(name, kind)
WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid WHERE t.tgrelid = p.oid
    AND t.tgtype = wanted.kind AND t.tgenabled IN ('O', 'A') AND f.proname = 'refuse_change') ORDER BY 1, 2
"""
)
_TOO_MUCH: Final = (
    _PARTS
    + """
SELECT p.relname, wanted.privilege FROM parts p
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS wanted(privilege)
WHERE has_table_privilege(current_user, p.oid, wanted.privilege)
    AND (p.relispartition OR wanted.privilege NOT IN ('SELECT', 'INSERT')) ORDER BY 1, 2
"""
)
_TOO_LITTLE: Final = """
SELECT name, wanted.privilege FROM unnest(%s::text[]) AS name
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT']) AS wanted(privilege)
WHERE NOT has_table_privilege(current_user, 'public.' || name, wanted.privilege)
"""
_MISSING_PARTITIONS: Final = """
SELECT p.table_name || suffix FROM month_partitioned p CROSS JOIN LATERAL (
    SELECT '_default' UNION ALL
    SELECT to_char((clock_timestamp() AT TIME ZONE 'UTC') + make_interval(months => m), '_YYYY_MM')
    FROM generate_series(0, 1) m
) AS wanted(suffix) WHERE to_regclass('public.' || quote_ident(p.table_name || suffix)) IS NULL ORDER BY 1
"""
_SCHEMA: Final = "SELECT has_schema_privilege(current_user, 'public', 'CREATE')"


def check_databases(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Say what is wrong with the connections that are asked for; of those that serve nothing, nothing."""
    return [problem for alias in SERVING if alias in (databases or ()) for problem in _problems_of(alias)]


def startup_checks() -> list[CheckMessage]:
    """Say what stands against serving with this process's databases."""
    return check_databases(databases=SERVING)


def _problems_of(alias: str) -> list[CheckMessage]:
    connection = connections[alias]
    with connection.cursor():  # opens the connection
        raw = connection.connection
    with raw.cursor() as cur:
        return [Error(text, hint=hint, id=name) for name, text, hint in problems_found(cur, alias)]


def problems_found(cur: Cursor, alias: str) -> Iterator[tuple[str, str, str | None]]:
    """Give the id, the text and the hint of everything that stands against serving with a connection as `alias`."""
    version = cur.connection.info.server_version
    if version < _OLDEST_VERSION:
        yield "events.E001", f"PostgreSQL {version // 10_000} is too old.", "Use version 15 or newer."
        return
    if not _one(cur, "SELECT to_regclass('public.event_store') IS NOT NULL"):
        yield "events.E002", "The database has no event store.", "Run manage.py migrate --database owner."
        return
    powers = list(_role_problems(cur))
    yield from powers or _right_problems(cur)
    for check in (_durability_problems, _identity_problems, _guard_problems):
        yield from check(cur)
    for name, right in cur.execute(_TOO_LITTLE, (_MAY_INSERT[alias],)).fetchall():
        yield (
            "events.E008",
            f"The role of {alias} may not {right} on {name}.",
            "Run the migrations as the owner.",
        )


def _role_problems(cur: Cursor) -> Iterator[tuple[str, str, str | None]]:
    is_powerful, is_owner, role = _row(cur, _ROLE)
    hint = "Connect as one of the roles that manage.py create_roles makes."
    if is_powerful:
        yield "events.E003", f"{role} is a superuser, replicates or bypasses row security.", hint
    if is_owner:
        yield "events.E004", f"{role} owns the tables and could change facts.", hint
    if not is_powerful and _one(cur, _REPLICA_ROLE):
        yield "events.E005", f"{role} may switch triggers off (session_replication_role).", hint
    if not is_owner and _one(cur, _SCHEMA):
        yield "events.E009", f"{role} may create objects in the schema public.", hint


def _right_problems(cur: Cursor) -> Iterator[tuple[str, str, str | None]]:
    for table, right in cur.execute(_TOO_MUCH, (_FACT_TABLES, _FACT_TABLES)).fetchall():
        yield "events.E008", f"The role may {right} on {table}.", f"REVOKE {right} ON {table}."


def _durability_problems(cur: Cursor) -> Iterator[tuple[str, str, str | None]]:
    if getattr(settings, "TEST_CLUSTER", False):
        return
    for name, value in cur.execute(_SETTINGS).fetchall():
        if value == "off":
            yield "events.E006", f"{name} is off: acknowledged writes may be lost.", f"Set {name} to on."


def _identity_problems(cur: Cursor) -> Iterator[tuple[str, str, str | None]]:
    known, now = _row(cur, _IDENTIFIER)
    if known != now:
        yield (
            "events.E010",
            "This database was restored into another cluster, whose transaction ids begin anew.",
            "Run manage.py after_restore once, before anything writes.",
        )


def _guard_problems(cur: Cursor) -> Iterator[tuple[str, str, str | None]]:
    for table, trigger in cur.execute(_UNGUARDED, (_FACT_TABLES, _FACT_TABLES)).fetchall():
        yield "events.E007", f"{table} has no working trigger {trigger}.", "Let the owner make it again."
    for (table,) in cur.execute(_MISSING_PARTITIONS).fetchall():
        yield "events.E011", f"The partition {table} is missing.", "Run manage.py make_partitions."


def _row(cur: Cursor, statement: str) -> tuple[Any, ...]:
    row = cur.execute(statement.encode()).fetchone()
    assert row is not None
    found: tuple[Any, ...] = row
    return found


def _one(cur: Cursor, statement: str) -> Any:
    return _row(cur, statement)[0]

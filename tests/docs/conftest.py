"""What all tests together stored is compared with the documentation when the session ends."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.docs.test_events import documented_types

FINDINGS = Path(__file__).resolve().parents[2] / "docs" / "findings.md"
KINDS = re.compile(r"^\| (`[a-z_`, ]+`) \|", re.MULTILINE)


def documented_kinds() -> set[str]:
    """The kinds of findings that docs/findings.md has a row for."""
    rows = KINDS.findall(FINDINGS.read_text(encoding="utf-8"))
    return {kind for row in rows for kind in re.findall(r"[a-z_]+", row)}


@pytest.fixture(scope="session", autouse=True)
def every_stored_event_is_documented(django_db_setup: None) -> Iterator[None]:
    """Fail at the end when any test stored an event of a type that docs/events.md does not name, or a finding of a
    kind that docs/findings.md does not name."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT type FROM events")
        stored = {name for (name,) in cursor.fetchall()}
        cursor.execute("SELECT DISTINCT data->>'kind' FROM events WHERE type = 'finding.opened'")
        found = {kind for (kind,) in cursor.fetchall()}
    # Tests of the store and of findings themselves make some of their own, under names that no product code uses.
    undocumented = {
        name for name in stored - documented_types() if not name.startswith(("test", "thing", "sample"))
    }
    if undocumented:
        pytest.fail(f"docs/events.md does not name {sorted(undocumented)}")
    unknown = {kind for kind in found - documented_kinds() if not kind.startswith(("kind_", "other"))}
    if unknown:
        pytest.fail(f"docs/findings.md does not name {sorted(unknown)}")

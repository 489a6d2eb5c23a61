"""What all tests together stored is compared with the documentation when the session ends."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.docs.test_events import documented_types


@pytest.fixture(scope="session", autouse=True)
def every_stored_event_is_documented(django_db_setup: None) -> Iterator[None]:
    """Fail at the end when any test stored an event of a type that docs/events.md does not name."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT type FROM events")
        stored = {name for (name,) in cursor.fetchall()}
    # Tests of the store itself make types of their own, under names that no product code uses.
    undocumented = {
        name for name in stored - documented_types() if not name.startswith(("test", "thing", "sample"))
    }
    if undocumented:
        pytest.fail(f"docs/events.md does not name {sorted(undocumented)}")

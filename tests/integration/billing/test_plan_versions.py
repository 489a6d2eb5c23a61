"""A published version never changes: the operations do not, and SQL refuses (S71)."""

import os
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from billing.queries.plans import find_version
from tests.builders.catalog import make_draft, make_plan, make_version
from tests.builders.orgs import write

NEVER = psycopg.errors.RestrictViolation


def owner() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True)


class TestAVersion:
    @pytest.mark.parametrize(
        "change",
        [
            'definition = definition || \'{"name": "other"}\'',
            "number = number + 1",
            "plan_key = 'other'",
            "plan_id = gen_random_uuid()",
            "status = 'draft'",
            "published_at = published_at + interval '1 second'",
            "published_at = NULL, status = 'draft'",
            "created_at = now()",
        ],
    )
    def test_that_is_published_is_changed_by_nobody(self, change: str) -> None:
        made = make_plan()
        with owner() as connection, pytest.raises(NEVER):
            connection.execute(sql.SQL(f"UPDATE plan_versions SET {change} WHERE id = %s"), (made.id,))
        assert write(lambda cur: find_version(cur, made.id)) == made

    def test_that_is_a_draft_keeps_its_document_too(self) -> None:
        made = make_draft()
        with owner() as connection, pytest.raises(NEVER):
            connection.execute("UPDATE plan_versions SET definition = '{}' WHERE id = %s", (made.id,))

    def test_that_was_replaced_never_comes_back(self) -> None:
        made = make_plan("came-" + UUID(int=1).hex[:4])
        make_version(made.plan_key)
        with owner() as connection, pytest.raises(NEVER):
            connection.execute("UPDATE plan_versions SET status = 'published' WHERE id = %s", (made.id,))

    @pytest.mark.parametrize("statement", ["DELETE FROM plan_versions", "TRUNCATE plan_versions"])
    def test_is_deleted_by_nobody(self, statement: str) -> None:
        make_plan()
        with owner() as connection, pytest.raises(NEVER):
            connection.execute(statement)

"""The database that tests work in."""

import pytest
from django.db import connection

from tests.conftest import prove_everything


def _one(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


class TestTheSessionsDatabase:
    def test_is_used_by_the_role_of_the_application(self) -> None:
        assert _one("SELECT current_user") == "counterfoil_app"

    def test_gives_nobody_superuser_rights(self) -> None:
        found = _one(
            "SELECT bool_or(rolsuper) FROM pg_roles WHERE rolname ~ '^counterfoil_(owner|gate|app|readonly)$'"
        )
        assert found is False

    def test_has_its_migrations_applied_by_the_owner(self) -> None:
        found = _one("SELECT tableowner FROM pg_tables WHERE tablename = 'django_migrations'")
        assert found == "counterfoil_owner"


class TestAPrivateDatabase:
    def test_is_another_one_that_is_migrated_too(self, private_database: str) -> None:
        assert _one("SELECT current_database()") == private_database
        assert _one("SELECT count(*) > 0 FROM pg_tables WHERE tablename = 'django_migrations'") is True


class TestTheProofAtTheEnd:
    def test_holds_over_a_fresh_database(self, private_database: str) -> None:
        prove_everything()

    def test_fails_the_run_when_a_projection_does_not_follow_from_the_events(
        self, private_database: str
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE organizations SET name = 'changed behind the events'")
        with pytest.raises(pytest.fail.Exception, match="rebuild"):
            prove_everything()

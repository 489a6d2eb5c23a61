"""The database that tests work in."""

from django.db import connection


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

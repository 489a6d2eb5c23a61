"""SQL files as migration operations: role names come from the settings, so that a file is the same on every server."""

import re
from pathlib import Path

from django.conf import settings
from django.db import migrations

ROLE = re.compile(r"\{(owner|gate|app|readonly)\}")


def sql_text(migration_file: str, name: str) -> str:
    """Return the SQL of `sql/<name>` beside a migration, with {owner}, {gate}, {app} and {readonly} replaced."""
    text = (Path(migration_file).parent / "sql" / name).read_text()
    return ROLE.sub(lambda found: '"' + settings.DATABASE_ROLES[found[1]] + '"', text)


def sql_operation(migration_file: str, name: str, reverse: str | None = None) -> migrations.RunSQL:
    """Return the migration operation that runs `sql/<name>` (and `sql/<reverse>` backwards, where there is one)."""
    backwards = sql_text(migration_file, reverse) if reverse else None
    return migrations.RunSQL(sql_text(migration_file, name), backwards)

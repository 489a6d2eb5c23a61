import json
import os
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.core.management.base import BaseCommand
from psycopg.conninfo import conninfo_to_dict

from config.environment import read_environment, running_urls
from config.roles import ROLES, database_statements, role_statements


class Command(BaseCommand):
    """This command will make the four database roles. On a real server it prints the SQL for its superuser;
    on the embedded one it runs it."""

    help = "Make the four database roles (on a real server: print the SQL to run as its superuser)."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the statements as a JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        environment = read_environment(variables=os.environ)
        urls = (
            environment.database_owner_url,
            environment.gate_database_url,
            environment.database_url,
            environment.database_readonly_url,
        )
        parts = [conninfo_to_dict(url or "") for url in urls]
        passwords = {
            role: str(known["password"])
            for role, known in zip(ROLES, parts, strict=True)
            if known.get("password") and known.get("user") == role
        }
        name = str(parts[2].get("dbname") or "counterfoil")
        statements = [*role_statements(passwords=passwords), *database_statements(name=name)]
        superuser = None if environment.database_was_given else running_urls(home=environment.home)
        applied = self._apply((superuser or {}).get("database_superuser"), statements)
        self._print(statements, applied=applied, as_json=options["json"])

    def _apply(self, url: str | None, statements: list[str]) -> bool:
        if url is None:
            return False
        with psycopg.connect(url, autocommit=True, connect_timeout=2) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return True

    def _print(self, statements: list[str], *, applied: bool, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"applied": applied, "statements": statements}))
        elif applied:
            self.stdout.write(f"The roles {', '.join(ROLES)} are in place.")
        else:
            self.stdout.write("-- Run as superuser. Passwords stand here as SCRAM verifiers only.")
            self.stdout.write("\n".join(f"{statement};" for statement in statements))

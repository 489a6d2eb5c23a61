"""The four database roles, as SQL. None is a superuser; only the owner may change the schema."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from psycopg import sql

ROLES = ("counterfoil_owner", "counterfoil_gate", "counterfoil_app", "counterfoil_readonly")
_OWNER, _GATE, _APP, _READONLY = ROLES
_ITERATIONS = 4096


def scram_verifier(*, password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL stores for a password (SCRAM-SHA-256, RFC 5803), so that no printed or logged
    statement holds the password itself."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    packed = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{packed[0]}${packed[1]}:{packed[2]}"


def role_statements(*, passwords: Mapping[str, str]) -> list[str]:
    """Return the statements that make the four roles, or bring existing ones to the same rights.

    Run as a superuser. A role without a password in the mapping gets none and needs another way to log in.
    """
    statements = []
    for role in ROLES:
        name = sql.Identifier(role).as_string()
        statements.append(
            f"DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
        password = passwords.get(role)
        secret = f" PASSWORD '{scram_verifier(password=password)}'" if password else ""
        statements.append(f"ALTER ROLE {name} WITH {rights}{secret}")
    return statements


def database_statements(*, name: str) -> list[str]:
    """Return the statements that open a database to the four roles and to nobody else.

    Temporary tables are allowed to the app and the gate: `rebuild --check` replays into them.
    """
    database = sql.Identifier(name).as_string()
    return [
        f"ALTER DATABASE {database} OWNER TO {_OWNER}",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {_GATE}, {_APP}",
        f"GRANT CONNECT ON DATABASE {database} TO {_READONLY}",
    ]

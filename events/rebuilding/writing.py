"""Write a chunk's statements while the next chunk is being projected: another thread sends them, in their order."""

from collections.abc import Iterable
from functools import lru_cache

import psycopg

from events.database import Connection
from events.writer import Statement, literals, numbered


def write(session: Connection, statements: Iterable[Statement]) -> None:
    """This function will run statements in their order, in one transaction."""
    with session.transaction():
        cur = psycopg.RawCursor(session)
        for statement, columns in statements:
            cur.execute(_numbered(statement), literals(statement, columns), prepare=True)


@lru_cache(maxsize=256)
def _numbered(statement: str) -> bytes:
    return numbered(statement).encode()

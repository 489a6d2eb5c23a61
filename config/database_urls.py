"""PostgreSQL URLs: the same server under another role or database, and Django's view of one."""

from typing import Any
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict


def _url(parts: dict[str, Any]) -> str:
    """Build a URL. Host and port stand in the query, where a socket folder needs no special care."""
    user, password, name = parts.pop("user", ""), parts.pop("password", None), parts.pop("dbname", "")
    host, port = str(parts.pop("host", "")), str(parts.pop("port", ""))
    login = quote(user, safe="") + (":" + quote(password, safe="") if password else "")
    place = ""
    if host.startswith("/"):
        parts = {"host": host, **({"port": port} if port else {}), **parts}
    else:
        place = host + (f":{port}" if port else "")
    query = "?" + urlencode(parts) if parts else ""
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(name, safe='')}{query}"


def with_role(*, url: str, role: str, password: str | None = None) -> str:
    """Return the URL of the same database for another role; the password is kept unless one is given."""
    parts = conninfo_to_dict(url)
    return _url({**parts, "user": role, "password": password or parts.get("password")})


def with_database(*, url: str, name: str) -> str:
    """Return the URL of another database on the same server for the same role."""
    return _url({**conninfo_to_dict(url), "dbname": name})


def socket_url(*, socket_folder: str, port: int, role: str, password: str, name: str) -> str:
    """Return the URL of a database behind a Unix socket."""
    return _url({"host": socket_folder, "port": port, "user": role, "password": password, "dbname": name})


def django_database(*, url: str) -> dict[str, Any]:
    """Return Django's settings of a database: NAME, USER, PASSWORD, HOST, PORT, and OPTIONS with the rest."""
    parts: dict[str, Any] = dict(conninfo_to_dict(url))
    named = {key: str(parts.pop(part, None) or "") for key, part in _DJANGO_NAMES.items()}
    return {"ENGINE": "django.db.backends.postgresql", **named, "OPTIONS": parts}


_DJANGO_NAMES = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}

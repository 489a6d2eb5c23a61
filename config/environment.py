"""The one reader of environment variables: every setting that may differ between machines, typed and checked.

Each variable may also be given as `NAME_FILE`, the path of a file that holds the value (for secrets).
All errors are collected and raised together, so that a wrong start is mended in one go.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from common.currencies import parse_currency
from common.errors import InvalidAmount, ProblemError
from common.money import parse_amount
from config.database_urls import with_role

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 8000

VARIABLES = (
    "COUNTERFOIL_HOME",
    "COUNTERFOIL_PORT",
    "COUNTERFOIL_BIND",
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "GATE_DATABASE_URL",
    "DATABASE_READONLY_URL",
    "CELERY_BROKER_URL",
    "STRIPE_API_KEY",
    "STRIPE_API_BASE",
    "STRIPE_CALLS_PER_SECOND",
    "RECONCILIATION_GRACE_SECONDS",
    "STRIPE_WEBHOOK_SECRETS",
    "STRIPE_CONNECT_WEBHOOK_SECRETS",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "ADJUSTMENT_APPROVAL_ABOVE",
    "PAYOUT_APPROVAL_ABOVE",
    "PAYOUT_DESTINATION_WAIT_HOURS",
    "EMAIL_URL",
    "EMAIL_FROM",
    "COUNTERFOIL_APP",
    "COUNTERFOIL_WEB_PROCESSES",
    "COUNTERFOIL_APP_PROCESSES",
    "GATE_DEADLINE_SECONDS",
    "GATE_LANES",
    "MARKETPLACE_FEE_PERCENT",
    "API_KEY_CALLS_PER_SECOND",
    "TAX_PROVIDER",
    "WEBHOOKS_TO_LOOPBACK",
)
DEFAULT_APPROVAL_ABOVE = "500"
DEFAULT_PAYOUT_APPROVAL_ABOVE = "1000"
DEFAULT_DESTINATION_WAIT_HOURS = 72
DEFAULT_EMAIL_FROM = "invoices@localhost"
DEFAULT_TAX_PROVIDER = "billing.operations.tax_provider:CountryRates"
_CLASS = re.compile(r"[a-zA-Z_][\w.]*:[a-zA-Z_]\w*", re.ASCII)


class WrongEnvironment(Exception):
    """The environment holds wrong values."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__("The environment is not usable:\n" + "\n".join(f"  - {error}" for error in errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the environment says. A database or broker URL is None where neither the environment nor a
    started embedded server (its `run/urls.json`) names one."""

    home: Path
    port: int
    port_was_given: bool
    bind: str
    database_url: str | None
    database_was_given: bool
    database_owner_url: str | None
    gate_database_url: str | None
    database_readonly_url: str | None
    celery_broker_url: str | None
    broker_was_given: bool
    stripe_api_key: str | None
    stripe_api_base: str | None
    stripe_calls_per_second: int
    reconciliation_grace_seconds: int
    stripe_webhook_secrets: tuple[str, ...]
    stripe_connect_webhook_secrets: tuple[str, ...]
    secret_key: str | None
    allowed_hosts: tuple[str, ...]
    adjustment_approval_above_units: int
    payout_approval_above_units: Mapping[str, int]
    payout_destination_wait_hours: int
    email_url: str | None
    email_from: str
    app_address: str
    web_processes: int
    app_processes: int
    gate_deadline_seconds: int
    gate_lanes: int
    marketplace_fee_percent: int
    api_key_calls_per_second: int
    tax_provider: str
    webhooks_to_loopback: bool


class _Reader:
    """Reads single variables and gathers what is wrong with them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.errors: list[str] = []

    def text(self, name: str) -> str | None:
        direct, file = self.variables.get(name) or None, self.variables.get(f"{name}_FILE") or None
        if direct and file:
            self.errors.append(f"{name} and {name}_FILE are both set; keep one")
            return None
        return self._file_text(name, file) if file else direct

    def _file_text(self, name: str, path: str) -> str | None:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.errors.append(f"{name}_FILE: {path} cannot be read ({type(error).__name__})")
            return None
        if not value:
            self.errors.append(f"{name}_FILE: {path} is empty")
        return value or None

    def checked(self, name: str, check: Callable[[str], str | None]) -> str | None:
        value = self.text(name)
        problem = check(value) if value is not None else None
        if problem:
            self.errors.append(f"{name}: {problem}")
        return value

    def whole(self, name: str, default: int, *, most: int, what: str = "number") -> int:
        value = self.text(name)
        if value is None:
            return default
        if value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= most:
            return int(value)
        self.errors.append(f"{name}: {value!r} is not a {what} between 1 and {most}")
        return default

    def amount(self, name: str, default: str) -> int:
        try:
            return parse_amount(self.text(name) or default, allow_zero=True)
        except ProblemError:
            self.errors.append(f"{name}: is not a plain decimal amount with up to 8 decimals")
            return 0

    def amounts(self, name: str, default: str) -> dict[str, int]:
        """A plain amount under "", and others by currency: "1000,JPY=150000"."""
        found: dict[str, int] = {}
        for part in self.names(name):
            currency, is_named, amount = part.rpartition("=")
            try:
                if is_named:
                    parse_currency(currency)
                if currency in found:
                    raise InvalidAmount
                found[currency] = parse_amount(amount, allow_zero=True)
            except ProblemError:
                self.errors.append(
                    f"{name}: one plain amount, then CURRENCY=amount, each once: 1000,JPY=150000"
                )
        return {"": parse_amount(default), **found}

    def names(self, name: str) -> tuple[str, ...]:
        value = self.text(name)
        if value is None:
            return ()
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts):
            self.errors.append(f"{name}: an empty item in the comma separated list")
        return tuple(part for part in parts if part)


def _address_problem(value: str) -> str | None:
    try:
        ip_address(value)
    except ValueError:
        return f"{value!r} is not an IP address"
    return None


def _database_problem(value: str) -> str | None:
    if not value.startswith(("postgresql://", "postgres://")):
        return "must start with postgresql://"
    try:
        parts = conninfo_to_dict(value)
    except psycopg.ProgrammingError:
        return "is not a PostgreSQL URL"
    return None if parts.get("dbname") else "names no database"


def _broker_problem(value: str) -> str | None:
    known = ("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")
    return None if value.startswith(known) else "must start with redis:// or amqp://"


def _http_problem(value: str) -> str | None:
    parts = urlsplit(value)
    return None if parts.scheme in ("http", "https") and parts.hostname else "is not an http(s) address"


def _email_problem(value: str) -> str | None:
    parts = urlsplit(value)
    return None if parts.scheme in ("smtp", "smtps") and parts.hostname else "must be smtp(s)://host:port"


def _app_problem(value: str) -> str | None:
    if value.startswith("unix:/"):
        return None
    parts = urlsplit(value)
    plain = parts.scheme == "http" and parts.hostname and parts.path in ("", "/")
    return None if plain else "must be unix:/path/of/a/socket or http://host:port"


def default_app_processes() -> int:
    """Return how many processes of Django to run on one machine together with everything else."""
    return max(1, min(2, (os.cpu_count() or 1) // 2))


def _stripe_key_problem(value: str) -> str | None:
    return None if value.startswith(("sk_", "rk_")) else "must be a secret (sk_) or restricted (rk_) key"


def _secret_problem(value: str) -> str | None:
    return None if len(value) >= 32 else "must have at least 32 characters"


def _class_problem(value: str) -> str | None:
    return None if _CLASS.fullmatch(value) else "must be module:class"


def _flag_problem(value: str) -> str | None:
    return None if value in ("0", "1") else "must be 0 or 1"


def _home(reader: _Reader) -> Path:
    value = reader.text("COUNTERFOIL_HOME")
    home = CHECKOUT / value if value else CHECKOUT / "var"
    if home.exists() and not home.is_dir():
        reader.errors.append(f"COUNTERFOIL_HOME: {home} is not a folder")
    return home


def running_urls(*, home: Path) -> dict[str, str]:
    """Return the addresses of the embedded servers that the launcher started from this state folder;
    empty when it has never run."""
    try:
        urls: dict[str, str] = json.loads((home / "run" / "urls.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return urls


def _allowed_hosts(reader: _Reader, bind: str) -> tuple[str, ...]:
    given = reader.names("ALLOWED_HOSTS")
    if given or _address_problem(bind):
        return given
    if not ip_address(bind).is_loopback:
        reader.errors.append("ALLOWED_HOSTS: needed when COUNTERFOIL_BIND is not a loopback address")
    return ("127.0.0.1", "localhost", "[::1]")


def _database_urls(reader: _Reader, urls: Mapping[str, str]) -> dict[str, str | None]:
    given = reader.checked("DATABASE_URL", _database_problem)
    owner = reader.checked("DATABASE_OWNER_URL", _database_problem)
    gate = reader.checked("GATE_DATABASE_URL", _database_problem)
    readonly = reader.checked("DATABASE_READONLY_URL", _database_problem)
    if given is None and (owner or gate or readonly):
        reader.errors.append("DATABASE_URL: needed when another database URL is set")
    if given is None or reader.errors:
        names = ("database", "database_owner", "database_gate", "database_readonly")
        return dict(zip(("app", "owner", "gate", "readonly"), (urls.get(n) for n in names), strict=True))
    return {
        "app": given,
        "owner": owner or with_role(url=given, role="counterfoil_owner"),
        "gate": gate or with_role(url=given, role="counterfoil_gate"),
        "readonly": readonly or with_role(url=given, role="counterfoil_readonly"),
    }


def _stripe(reader: _Reader, urls: Mapping[str, str]) -> dict[str, str | None]:
    """What is given; nothing given: the embedded simulator's, when it runs. Never a real key with its address."""
    key = reader.checked("STRIPE_API_KEY", _stripe_key_problem)
    base = reader.checked("STRIPE_API_BASE", _http_problem)
    if key is None and base is None:
        return {"key": urls.get("stripe_key"), "base": urls.get("stripe")}
    return {"key": key, "base": base}


def read_environment(*, variables: Mapping[str, str]) -> Environment:
    """Return the typed environment.

    Raises WrongEnvironment with the list of everything that is wrong, never only the first.
    """
    reader = _Reader(variables)
    home = _home(reader)
    urls = running_urls(home=home)
    bind = reader.checked("COUNTERFOIL_BIND", _address_problem) or "127.0.0.1"
    databases = _database_urls(reader, urls)
    broker = reader.checked("CELERY_BROKER_URL", _broker_problem)
    stripe = _stripe(reader, urls)
    environment = Environment(
        home=home,
        port=reader.whole("COUNTERFOIL_PORT", DEFAULT_PORT, most=65535, what="port"),
        port_was_given=reader.text("COUNTERFOIL_PORT") is not None,
        bind=bind,
        database_url=databases["app"],
        database_was_given=reader.text("DATABASE_URL") is not None,
        database_owner_url=databases["owner"],
        gate_database_url=databases["gate"],
        database_readonly_url=databases["readonly"],
        celery_broker_url=broker or urls.get("broker"),
        broker_was_given=broker is not None,
        stripe_api_key=stripe["key"],
        stripe_api_base=stripe["base"],
        stripe_calls_per_second=reader.whole("STRIPE_CALLS_PER_SECOND", 20, most=1_000),
        reconciliation_grace_seconds=reader.whole("RECONCILIATION_GRACE_SECONDS", 900, most=86_400),
        stripe_webhook_secrets=reader.names("STRIPE_WEBHOOK_SECRETS"),
        stripe_connect_webhook_secrets=reader.names("STRIPE_CONNECT_WEBHOOK_SECRETS"),
        secret_key=reader.checked("SECRET_KEY", _secret_problem),
        allowed_hosts=_allowed_hosts(reader, bind),
        adjustment_approval_above_units=reader.amount("ADJUSTMENT_APPROVAL_ABOVE", DEFAULT_APPROVAL_ABOVE),
        payout_approval_above_units=reader.amounts("PAYOUT_APPROVAL_ABOVE", DEFAULT_PAYOUT_APPROVAL_ABOVE),
        payout_destination_wait_hours=reader.whole(
            "PAYOUT_DESTINATION_WAIT_HOURS", DEFAULT_DESTINATION_WAIT_HOURS, most=2_160
        ),
        email_url=reader.checked("EMAIL_URL", _email_problem),
        email_from=reader.text("EMAIL_FROM") or DEFAULT_EMAIL_FROM,
        app_address=reader.checked("COUNTERFOIL_APP", _app_problem) or f"unix:{home / 'run' / 'app.sock'}",
        web_processes=reader.whole("COUNTERFOIL_WEB_PROCESSES", 1, most=64),
        app_processes=reader.whole("COUNTERFOIL_APP_PROCESSES", default_app_processes(), most=64),
        gate_deadline_seconds=reader.whole("GATE_DEADLINE_SECONDS", 3, most=8),
        gate_lanes=reader.whole("GATE_LANES", 1, most=16),
        marketplace_fee_percent=reader.whole("MARKETPLACE_FEE_PERCENT", 20, most=100),
        api_key_calls_per_second=reader.whole("API_KEY_CALLS_PER_SECOND", 2_000, most=1_000_000),
        tax_provider=reader.checked("TAX_PROVIDER", _class_problem) or DEFAULT_TAX_PROVIDER,
        webhooks_to_loopback=reader.checked("WEBHOOKS_TO_LOOPBACK", _flag_problem) == "1",
    )
    if reader.errors:
        raise WrongEnvironment(list(dict.fromkeys(reader.errors)))
    return environment

"""Django's settings. What differs between machines comes from `config.environment` alone."""

import os
import sys
from typing import Any

from common.api.settings import API_AUTHENTICATOR as API_AUTHENTICATOR
from common.api.settings import REST_FRAMEWORK as REST_FRAMEWORK
from common.api.settings import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from config import process
from config.database_urls import django_database, socket_url
from config.environment import CHECKOUT, WrongEnvironment, read_environment
from config.logging import configure_logging
from config.mail import mail_settings
from config.secrets import remembered_secret
from events.schedule import BEAT as EVENTS_BEAT

try:
    ENVIRONMENT = read_environment(variables=os.environ)
except WrongEnvironment as error:
    sys.exit(str(error))

BASE_DIR = CHECKOUT
STATE_HOME = ENVIRONMENT.home
SECRET_KEY = ENVIRONMENT.secret_key or remembered_secret(path=STATE_HOME / "secret_key")
DEBUG = False
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "common",
    "events",
    "orgs",
    "ledger",
    "spend",
    "billing",
    "payouts",
    "webhooks",
    "config",
    "sandbox",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "common.api.middleware.SecureCookiesMiddleware",
    "common.api.middleware.RequestIdMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Databases: one server, four roles. The names of the roles are fixed; migrations grant to them. ---

DATABASE_ROLES = {
    "owner": "counterfoil_owner",
    "gate": "counterfoil_gate",
    "app": "counterfoil_app",
    "readonly": "counterfoil_readonly",
}


def _absent(role: str) -> str:
    """An address for a server that was never started: connecting to it fails and says where it looked."""
    run = str(STATE_HOME / "run")
    return socket_url(socket_folder=run, port=5432, role=role, password="", name="counterfoil")


def connection_options(*, statement_timeout_ms: int | None = None) -> dict[str, Any]:
    """Return libpq's options with the deadlines of this process; every wait for the database has an end."""
    limits = process.limits()
    statement = limits.statement_timeout_ms if statement_timeout_ms is None else statement_timeout_ms
    session = {
        "statement_timeout": statement,
        "lock_timeout": limits.lock_timeout_ms,
        "idle_in_transaction_session_timeout": limits.idle_in_transaction_timeout_ms,
        "timezone": "UTC",
    }
    return {
        "connect_timeout": 2,
        "tcp_user_timeout": 2000,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "application_name": f"counterfoil-{process.declared()}",
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
    }


def _database(url: str | None, role: str, **options: Any) -> dict[str, Any]:
    database = django_database(url=url or _absent(DATABASE_ROLES[role]))
    return {
        **database,
        "OPTIONS": {**database["OPTIONS"], **connection_options(), **options},
        "CONN_MAX_AGE": 0 if options.get("pool") else 60,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }


def _pool() -> dict[str, Any]:
    size = process.limits().pool_size
    return {"pool": {"min_size": 1, "max_size": size, "timeout": 2, "max_idle": 300}} if size else {}


# A migration may take long, yet waits at most one second for a lock, whoever runs it.
_MIGRATION_OPTIONS = "-c statement_timeout=0 -c lock_timeout=1000 -c timezone=UTC"

DATABASES = {
    "default": _database(ENVIRONMENT.database_url, "app", **_pool()),
    "owner": _database(ENVIRONMENT.database_owner_url, "owner", options=_MIGRATION_OPTIONS),
    "gate": _database(ENVIRONMENT.gate_database_url, "gate"),
    "readonly": _database(ENVIRONMENT.database_readonly_url, "readonly"),
}

# For the gate's own connections (psycopg, past the ORM): direct, never through a transaction pooler.
GATE_DATABASE_URL = ENVIRONMENT.gate_database_url or _absent(DATABASE_ROLES["gate"])
GATE_CONNECTION_OPTIONS = connection_options()
GATE_LANES = ENVIRONMENT.gate_lanes
MARKETPLACE_FEE_RATE = ENVIRONMENT.marketplace_fee_percent * 10_000  # millionths
GATE_DEADLINE_SECONDS = ENVIRONMENT.gate_deadline_seconds
API_KEY_CALLS_PER_SECOND = ENVIRONMENT.api_key_calls_per_second

# Where web forwards to what is not the gate's: the process app.
APP_ADDRESS = ENVIRONMENT.app_address

# The tests' cluster waits for no disk; everywhere else the system checks refuse to serve without durability.
TEST_CLUSTER = "COUNTERFOIL_TEST_HOME" in os.environ

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Time, language, files ---

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# --- Security ---

SECURE_CONTENT_TYPE_NOSNIFF = True
# Django is reached through web alone, which always sets it: what the proxy before it said, else its own.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Work in the background ---

CELERY_BROKER_URL = ENVIRONMENT.celery_broker_url or "redis://127.0.0.1:1/0"

# What beat sends and how often: {name: {"task": "app.tasks.name", "schedule": seconds}}. A beat that fires
# twice or not at all must not matter: tasks ask the database what is due.
BEAT_SCHEDULE: dict[str, dict[str, Any]] = {**EVENTS_BEAT}

# --- E-mail ---

EMAIL_BACKEND, EMAIL_SETTINGS = mail_settings(ENVIRONMENT)
EMAIL_HOST, EMAIL_PORT = EMAIL_SETTINGS.host, EMAIL_SETTINGS.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL_SETTINGS.user, EMAIL_SETTINGS.password
EMAIL_USE_SSL, EMAIL_USE_TLS = EMAIL_SETTINGS.is_encrypted, not EMAIL_SETTINGS.is_encrypted
EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = ENVIRONMENT.home / "mail"
DEFAULT_FROM_EMAIL = ENVIRONMENT.email_from

# --- Billing ---

TAX_PROVIDER = ENVIRONMENT.tax_provider

# --- Stripe ---

ADJUSTMENT_APPROVAL_ABOVE_UNITS = ENVIRONMENT.adjustment_approval_above_units
PAYOUT_APPROVAL_ABOVE_BY_CURRENCY = dict(ENVIRONMENT.payout_approval_above_units)
PAYOUT_APPROVAL_ABOVE_UNITS = PAYOUT_APPROVAL_ABOVE_BY_CURRENCY.pop("")
PAYOUT_DESTINATION_WAIT_HOURS = ENVIRONMENT.payout_destination_wait_hours

# The version of the processor's API that our calls speak and our webhook endpoints are made with.
STRIPE_API_VERSION = "2026-10-28.endive"
STRIPE_API_KEY = ENVIRONMENT.stripe_api_key
STRIPE_API_BASE = ENVIRONMENT.stripe_api_base
# To connect, and to wait for an answer.
STRIPE_TIMEOUT_SECONDS = (3, 20)
STRIPE_CALLS_PER_SECOND = ENVIRONMENT.stripe_calls_per_second
# What is younger is in flight, and not compared.
RECONCILIATION_GRACE_SECONDS = ENVIRONMENT.reconciliation_grace_seconds
STRIPE_WEBHOOK_SECRETS = ENVIRONMENT.stripe_webhook_secrets
STRIPE_CONNECT_WEBHOOK_SECRETS = ENVIRONMENT.stripe_connect_webhook_secrets

# --- Outbound webhooks ---

WEBHOOKS_TO_LOOPBACK = ENVIRONMENT.webhooks_to_loopback

LOGGING_CONFIG = None
configure_logging()

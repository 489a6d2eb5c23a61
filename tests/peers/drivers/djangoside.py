"""Django in a peer's own environment: its settings without a settings module, with pooled connections."""

from typing import Any

CONNECTIONS = 32


def start_django(settings: dict[str, Any], *applications: str, **more: Any) -> None:
    """Configure and set up Django on the peer's database."""
    import django
    from django.conf import settings as django_settings

    place = settings["database"]
    django_settings.configure(
        SECRET_KEY="only for measuring",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *applications],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": place["name"],
                "USER": place["user"],
                "PASSWORD": place["password"],
                "HOST": place["host"],
                "PORT": place["port"],
                "OPTIONS": {"pool": {"min_size": 1, "max_size": CONNECTIONS, "timeout": 30}},
            }
        },
        **more,
    )
    django.setup()


def migrate() -> None:
    """Make all tables."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def give_back() -> None:
    """Give this thread's connection back to the pool."""
    from django.db import connection

    connection.close()

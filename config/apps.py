import psycopg
from django.apps import AppConfig
from psycopg.types.string import TextLoader


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        """Make the Celery application current, so that every process sends tasks to the same broker; and let columns of
        the type json come as they were written, as Django has it for jsonb: its fields read them.
        """
        from config import celery  # noqa: F401

        psycopg.adapters.register_loader("json", TextLoader)

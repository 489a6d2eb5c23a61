from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        """Make the Celery application current, so that every process sends tasks to the same broker."""
        from config import celery  # noqa: F401

"""The Celery worker's and beat's entry point: `celery -A config.worker worker`."""

from config import process

process.declare("worker")

from config.celery import app  # noqa: E402  (the process's kind must be known before settings are read)

__all__ = ["app"]

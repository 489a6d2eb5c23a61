"""The Celery worker's and beat's entry point: `celery -A config.worker worker`."""

from typing import Any

from celery.signals import beat_init, worker_init

from config import process

process.declare("worker")

from config.celery import app  # noqa: E402  (the process's kind must be known before settings are read)

__all__ = ["app"]


@worker_init.connect
@beat_init.connect
def _check(**_: Any) -> None:
    from config.entry import refuse_a_wrong_start

    refuse_a_wrong_start()

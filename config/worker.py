"""The Celery worker's and beat's entry point: `celery -A config.worker worker`."""

import contextlib
import os
from typing import Any

from celery.signals import beat_init, worker_init, worker_process_init, worker_ready
from django.conf import settings
from kombu.exceptions import OperationalError

from config import process

process.declare("worker")

from config.celery import app  # noqa: E402  (the process's kind must be known before settings are read)

__all__ = ["app"]


@worker_init.connect
@beat_init.connect
def _check(**_: Any) -> None:
    from config.entry import refuse_a_wrong_start

    refuse_a_wrong_start()


@worker_process_init.connect
def _collect_rarely(**_: Any) -> None:
    """A process that works has loaded what it needs: walking over it again and again takes time from invoices."""
    from spend.operations.gate.lanes import collect_rarely

    collect_rarely()


@worker_ready.connect
def _catch_up(**_: Any) -> None:
    """What Stripe sent while no worker was there is asked for at once. A message that is lost costs five minutes."""
    with contextlib.suppress(OperationalError):
        app.send_task("events.tasks.run_job", kwargs={"name": "webhooks.catch_up"}, expires=60)


@worker_ready.connect
@beat_init.connect
def _say_ready(**_: Any) -> None:
    """Leave a word for whoever supervises: a process without an address cannot be asked."""
    folder = settings.STATE_HOME / "run"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"ready-{os.getpid()}").touch()

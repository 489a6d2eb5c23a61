"""The Celery application: a broker message is only a hint, the truth is in PostgreSQL.

Work of a worker that died is delivered again (late acknowledgement, quick restore), but nothing relies on
it: the event cursor and the sweepers find what was lost.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def _transport_options(broker_url: str) -> dict[str, Any]:
    """What a killed worker held is given back after the visibility timeout plus a second, not after minutes.

    So a task that runs longer than that may run twice at once: long jobs work in chunks or take a lock.
    """
    if broker_url.startswith(("amqp", "pyamqp")):
        return {"confirm_publish": True, "max_retries": 1, "read_timeout": 5, "write_timeout": 5}
    return {
        "visibility_timeout": 20,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
        "health_check_interval": 10,
        "max_retries": 1,
    }


def _queue_arguments(broker_url: str) -> dict[str, Any]:
    """RabbitMQ: a quorum queue survives the loss of a node."""
    return {"task_default_queue_type": "quorum"} if broker_url.startswith(("amqp", "pyamqp")) else {}


app = Celery("counterfoil")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_transport_options=_transport_options(settings.CELERY_BROKER_URL),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_publish_retry=False,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    enable_utc=True,
    timezone="UTC",
    beat_schedule=settings.BEAT_SCHEDULE,
    **_queue_arguments(settings.CELERY_BROKER_URL),
)
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Celery would replace the handlers; being connected to this signal keeps it from that."""

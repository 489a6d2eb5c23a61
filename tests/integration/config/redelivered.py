"""A task for the test of redelivery: it leaves a mark when it is done."""

import time
from pathlib import Path

from celery import shared_task

QUEUE = "redelivery"


@shared_task
def leave_mark(*, folder: str, number: int) -> None:
    time.sleep(0.6)
    (Path(folder) / str(number)).touch()

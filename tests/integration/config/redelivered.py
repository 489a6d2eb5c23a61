"""A task for the test of redelivery: it leaves a mark when it is done, which says how rarely garbage is collected."""

import gc
import time
from pathlib import Path

from celery import shared_task

QUEUE = "redelivery"


@shared_task
def leave_mark(*, folder: str, number: int) -> None:
    time.sleep(0.6)
    unfinished = Path(folder) / f"unfinished-{number}"
    unfinished.write_text(str(gc.get_threshold()[0]), encoding="utf-8")
    unfinished.rename(Path(folder) / str(number))

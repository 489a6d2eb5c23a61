"""What falls due in payouts, for the beat and for `manage.py run_due`."""

from typing import Final

from events.jobs import DueJob, register
from payouts.operations.paying.batches import run_batches
from payouts.operations.paying.due import advance_due, schedule_due

BATCH_SECONDS: Final = 5
ADVANCE_SECONDS: Final = 60
SCHEDULE_SECONDS: Final = 300


def register_all() -> None:
    """This function will register the payouts of schedules and batches, and what waits for another try."""
    register(DueJob("payouts.schedule", schedule_due, SCHEDULE_SECONDS))
    register(DueJob("payouts.batches", run_batches, BATCH_SECONDS))
    register(DueJob("payouts.advance", advance_due, ADVANCE_SECONDS))

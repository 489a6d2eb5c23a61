"""What falls due in the marketplace, for the beat and for `manage.py run_due`."""

from typing import Final

from events.jobs import DueJob, register
from payouts.operations.adjusting import adjust_due
from payouts.operations.paying.batches import run_batches
from payouts.operations.paying.due import advance_due, schedule_due
from payouts.operations.publishing import publish_due
from payouts.operations.settling import settle_due
from payouts.operations.statements import make_due_statements

PUBLISH_SECONDS: Final = 30
SETTLE_SECONDS: Final = 10
ADJUST_SECONDS: Final = 3_600
BATCH_SECONDS: Final = 5
ADVANCE_SECONDS: Final = 60
SCHEDULE_SECONDS: Final = 300
STATEMENT_SECONDS: Final = 300


def register_all() -> None:
    """This function will register the publishing of split rules, differences of tiers, the settling of callers, the
    payouts of schedules and batches, what of payouts waits for another try, and statements of months that are over."""
    register(DueJob("payouts.publish_shares", publish_due, PUBLISH_SECONDS))
    register(DueJob("payouts.adjust_tiers", adjust_due, ADJUST_SECONDS))
    register(DueJob("payouts.settle", settle_due, SETTLE_SECONDS))
    register(DueJob("payouts.schedule", schedule_due, SCHEDULE_SECONDS))
    register(DueJob("payouts.batches", run_batches, BATCH_SECONDS))
    register(DueJob("payouts.advance", advance_due, ADVANCE_SECONDS))
    register(DueJob("payouts.statements", make_due_statements, STATEMENT_SECONDS))

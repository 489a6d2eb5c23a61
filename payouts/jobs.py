"""What falls due in payouts, for the beat and for `manage.py run_due`."""

from typing import Final

from events.jobs import DueJob, register
from payouts.operations.metrics.checking import check_metrics

NIGHTLY_SECONDS: Final = 86_400


def register_all() -> None:
    """This function will register the nightly check of revenue metrics."""
    register(DueJob("payouts.check_metrics", check_metrics, NIGHTLY_SECONDS))

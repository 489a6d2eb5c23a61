"""What falls due in the marketplace, for the beat and for `manage.py run_due`."""

from typing import Final

from events.jobs import DueJob, register
from payouts.operations.adjusting import adjust_due
from payouts.operations.publishing import publish_due
from payouts.operations.settling import settle_due

PUBLISH_SECONDS: Final = 30
SETTLE_SECONDS: Final = 10
ADJUST_SECONDS: Final = 3_600


def register_all() -> None:
    """This function will register the publishing of split rules, differences of tiers and the settling of callers."""
    register(DueJob("payouts.publish_shares", publish_due, PUBLISH_SECONDS))
    register(DueJob("payouts.adjust_tiers", adjust_due, ADJUST_SECONDS))
    register(DueJob("payouts.settle", settle_due, SETTLE_SECONDS))

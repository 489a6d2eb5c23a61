"""What falls due in webhooks, for the beat and for `manage.py run_due`."""

from typing import Final

from events.jobs import DueJob, register
from webhooks.operations.inbound.catching_up import catch_up
from webhooks.operations.inbound.processing import process_due

PROCESS_SECONDS: Final = 1
CATCH_UP_SECONDS: Final = 300


def register_all() -> None:
    """This function will register the catching up with Stripe's list of events, and the processing of what came."""
    register(DueJob("webhooks.catch_up", catch_up, CATCH_UP_SECONDS))
    register(DueJob("webhooks.process", process_due, PROCESS_SECONDS))

"""What falls due in webhooks, for the beat and for `manage.py run_due`."""

from typing import Final

from events.jobs import DueJob, register
from webhooks.operations.inbound.catching_up import catch_up
from webhooks.operations.inbound.processing import process_due
from webhooks.operations.outbound.delivering import deliver_due
from webhooks.operations.outbound.denials import tell_denials
from webhooks.operations.outbound.keeping import forget_old, write_notices
from webhooks.operations.outbound.lowcredit import tell_low_credit
from webhooks.operations.reconciling.running import reconcile_due

PROCESS_SECONDS: Final = 1
CATCH_UP_SECONDS: Final = 300
DELIVER_SECONDS: Final = 1
LOOK_SECONDS: Final = 10
NOTICE_SECONDS: Final = 60
FORGET_SECONDS: Final = 3_600
RECONCILE_SECONDS: Final = 60


def register_all() -> None:
    """This function will register what is done with what Stripe tells, what customers are told, and reconciliation."""
    register(DueJob("webhooks.catch_up", catch_up, CATCH_UP_SECONDS))
    register(DueJob("webhooks.process", process_due, PROCESS_SECONDS))
    register(DueJob("webhooks.tell_denials", tell_denials, LOOK_SECONDS))
    register(DueJob("webhooks.tell_low_credit", tell_low_credit, LOOK_SECONDS))
    register(DueJob("webhooks.deliver", deliver_due, DELIVER_SECONDS))
    register(DueJob("webhooks.write_notices", write_notices, NOTICE_SECONDS))
    register(DueJob("webhooks.forget", forget_old, FORGET_SECONDS))
    register(DueJob("webhooks.reconcile", reconcile_due, RECONCILE_SECONDS))

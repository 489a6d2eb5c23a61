"""What falls due in the gate, for the beat and for `manage.py run_due`."""

from events.jobs import DueJob, register
from spend.operations.gate.sweeping import sweep

SWEEP_SECONDS = 5.0


def register_all() -> None:
    """This function will register the sweeper of expired reservations (S32)."""
    register(DueJob("spend.expire_reservations", sweep, SWEEP_SECONDS))

"""What falls due in the gate and beside it, for the beat and for `manage.py run_due`."""

from events.jobs import DueJob, register
from spend.operations.gate.sweeping import sweep
from spend.operations.velocity.forget import forget_minutes
from spend.operations.velocity.judge import judge_velocity

SWEEP_SECONDS = 5.0
JUDGE_SECONDS = 5.0
FORGET_SECONDS = 3_600


def register_all() -> None:
    """This function will register the sweeper of expired reservations (S32), the judgement of velocity (S57), and the
    end of old minutes."""
    register(DueJob("spend.expire_reservations", sweep, SWEEP_SECONDS))
    register(DueJob("spend.judge_velocity", judge_velocity, JUDGE_SECONDS))
    register(DueJob("spend.forget_minutes", forget_minutes, FORGET_SECONDS))

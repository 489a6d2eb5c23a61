"""What falls due in billing, for the beat and for `manage.py run_due`."""

from billing.operations.runs import bill_due_customers
from events.jobs import DueJob, register

BILL_SECONDS = 10.0


def register_all() -> None:
    """This function will register the billing run."""
    register(DueJob("billing.run", bill_due_customers, BILL_SECONDS))

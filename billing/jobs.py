"""What falls due in billing, for the beat and for `manage.py run_due`."""

from typing import Final

from billing.operations.runs import bill_due_customers
from billing.operations.tax_provider import ask_waiting_vat_ids
from events.jobs import DueJob, register

BILL_SECONDS: Final = 10
ASK_SECONDS: Final = 300


def register_all() -> None:
    """This function will register the asking about VAT ids that wait for an answer, and the billing run."""
    register(DueJob("billing.ask_vat_ids", ask_waiting_vat_ids, ASK_SECONDS))
    register(DueJob("billing.run", bill_due_customers, BILL_SECONDS))

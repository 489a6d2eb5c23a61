"""What falls due in billing, for the beat and for `manage.py run_due`."""

from typing import Final

from billing.operations.tax_provider import ask_waiting_vat_ids
from events.jobs import DueJob, register

ASK_SECONDS: Final = 300


def register_all() -> None:
    """This function will register the asking about VAT ids that wait for an answer."""
    register(DueJob("billing.ask_vat_ids", ask_waiting_vat_ids, ASK_SECONDS))

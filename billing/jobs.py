"""What falls due in billing, for the beat and for `manage.py run_due`."""

from functools import partial
from typing import Final

from billing.operations.commands import send_due
from billing.operations.dunning import telling
from billing.operations.dunning.due import advance_due, close_settled
from billing.operations.entitling import entitle_due, entitle_untold
from billing.operations.invoices import sending
from billing.operations.letters import send_due as send_letters
from billing.operations.payments import stopping
from billing.operations.payments.topups import top_up_due
from billing.operations.revenue.closing import close_due_books
from billing.operations.revenue.recognising import recognise_due
from billing.operations.runs import bill_due_customers
from billing.operations.tax_provider import ask_waiting_vat_ids
from billing.operations.taxrates import try_invoices_again
from events.jobs import DueJob, register

BILL_SECONDS: Final = 10
SEND_SECONDS: Final = 1
TOP_UP_SECONDS: Final = 10
ASK_SECONDS: Final = 300
RATE_SECONDS: Final = 60
RECOGNISE_SECONDS: Final = 60
CLOSE_SECONDS: Final = 10
DUNNING_SECONDS: Final = 10
SETTLED_SECONDS: Final = 3_600
LETTER_SECONDS: Final = 15
ENTITLE_SECONDS: Final = 60
UNTOLD_SECONDS: Final = 3_600
LETTERS: Final = (telling.KIND, stopping.KIND, sending.KIND)


def register_all() -> None:
    """This function will register the asking about VAT ids that wait for an answer, the trying again of what waited for
    a tax rate, the billing run, the recognition of revenue after it, the closing of books that are to be closed,
    dunning, what customers are entitled to, letters (dunning's, documents, and that top-ups have stopped), the sending
    of commands to the processor, and automatic top-ups."""
    register(DueJob("billing.ask_vat_ids", ask_waiting_vat_ids, ASK_SECONDS))
    register(DueJob("billing.tax_rates", try_invoices_again, RATE_SECONDS))
    register(DueJob("billing.run", bill_due_customers, BILL_SECONDS))
    register(DueJob("billing.recognise_revenue", recognise_due, RECOGNISE_SECONDS))
    register(DueJob("billing.close_books", close_due_books, CLOSE_SECONDS))
    register(DueJob("billing.dunning", advance_due, DUNNING_SECONDS))
    register(DueJob("billing.entitlements", entitle_due, ENTITLE_SECONDS))
    register(DueJob("billing.entitlements_untold", entitle_untold, UNTOLD_SECONDS))
    register(DueJob("billing.dunning_settled", close_settled, SETTLED_SECONDS))
    register(DueJob("billing.letters", partial(send_letters, LETTERS), LETTER_SECONDS))
    register(DueJob("billing.send_commands", send_due, SEND_SECONDS))
    register(DueJob("billing.top_up", top_up_due, TOP_UP_SECONDS))

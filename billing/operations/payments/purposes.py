"""What billing has the processor do: the purposes of its commands."""

from billing.operations.commands import Purpose, register_purpose
from billing.operations.payments import charging, collecting, customers, methods, refunding, settling


def register_all() -> None:
    """This function will register the purposes of billing's commands."""
    register_purpose(Purpose(customers.CREATE, "customers", "create", customers.settle_customer))
    register_purpose(Purpose(customers.UPDATE, "customers", "update", methods.settle_nothing))
    register_purpose(Purpose(methods.SETUP, "setup_intents", "create", methods.settle_nothing))
    register_purpose(Purpose(methods.DETACH, "payment_methods", "detach", methods.settle_detaching))
    pay, cancel = settling.settle_payment, settling.settle_cancellation
    register_purpose(
        Purpose(charging.PAY, "payment_intents", "create", pay, check=collecting.reason_not_to_pay)
    )
    register_purpose(Purpose(charging.CANCEL, "payment_intents", "cancel", cancel))
    register_purpose(Purpose(refunding.REFUND, "refunds", "create", settling.settle_refund))

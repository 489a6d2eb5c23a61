"""The border to Stripe: nothing else in billing or webhooks knows the SDK (ADR 0016).

Every function runs outside of transactions and refuses to run inside one. What comes back are the values of
billing/rules/payments (views, events, outcomes).
"""

from billing.rules.payments.events import EventView, VerifiedEvent
from billing.rules.payments.outcomes import Busy, Outcome, Refused, Succeeded, Unknown, Wrong
from billing.stripe_gateway.client import (
    CallInTransaction,
    NotConfigured,
    is_configured,
    require_configured,
)
from billing.stripe_gateway.errors import (
    NotAtProcessor,
    ProcessorRejected,
    ProcessorUnavailable,
    SignatureRejected,
)
from billing.stripe_gateway.lists import (
    list_balance_transactions,
    list_charges,
    list_customers,
    list_disputes,
    list_events,
    list_methods,
    list_payments,
    list_payouts,
    list_refunds,
)
from billing.stripe_gateway.mapping import Unreadable, register_view
from billing.stripe_gateway.reads import (
    balance_transaction,
    balances,
    charge,
    customer,
    dispute,
    event,
    method,
    payment,
    payment_secret,
    payout,
    refund,
    setup,
    setup_secret,
    warning,
)
from billing.stripe_gateway.sending import Looking, look_up, register_look_up, send
from billing.stripe_gateway.signatures import check_header, read_event, verify

__all__ = [
    "Busy",
    "CallInTransaction",
    "EventView",
    "Looking",
    "NotAtProcessor",
    "NotConfigured",
    "Outcome",
    "ProcessorRejected",
    "ProcessorUnavailable",
    "Refused",
    "SignatureRejected",
    "Succeeded",
    "Unknown",
    "Unreadable",
    "VerifiedEvent",
    "Wrong",
    "balance_transaction",
    "balances",
    "charge",
    "check_header",
    "customer",
    "dispute",
    "event",
    "is_configured",
    "list_balance_transactions",
    "list_charges",
    "list_customers",
    "list_disputes",
    "list_events",
    "list_methods",
    "list_payments",
    "list_payouts",
    "list_refunds",
    "look_up",
    "method",
    "payment",
    "payment_secret",
    "payout",
    "read_event",
    "refund",
    "register_look_up",
    "register_view",
    "require_configured",
    "send",
    "setup",
    "setup_secret",
    "verify",
    "warning",
]

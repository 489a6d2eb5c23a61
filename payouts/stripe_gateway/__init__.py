"""The border to Stripe Connect: connected accounts, transfers and the payouts on connected accounts (ADR 0016).

It reuses the client, the errors and the reading of `billing.stripe_gateway`, runs outside of transactions, and gives
the values of billing/rules/payments/views.py. What is sent is a command: see payouts/operations/paying.
"""

from payouts.stripe_gateway.mapping import account_view, register_all, transfer_view
from payouts.stripe_gateway.reads import (
    account,
    account_link,
    list_partner_payouts,
    list_transfers,
    partner_payout,
    transfer,
)

__all__ = [
    "account",
    "account_link",
    "account_view",
    "list_partner_payouts",
    "list_transfers",
    "partner_payout",
    "register_all",
    "transfer",
    "transfer_view",
]

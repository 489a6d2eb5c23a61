"""Which failures of a payment say that asking again is of no use."""

from __future__ import annotations

from typing import Final

from billing.rules.payments.views import Failure

# Stripe's list of hard declines, after which its own Smart Retries stop (docs.stripe.com/billing/revenue-recovery/
# smart-retries, "Non-retryable decline codes"), and what says that the means of payment is gone.
HARD: Final = frozenset(
    {
        "authentication_required", "expired_card", "fraudulent", "highest_risk_level", "incorrect_number",
        "invalid_account", "lost_card", "pickup_card", "revocation_of_all_authorizations",
        "revocation_of_authorization", "stolen_card", "transaction_not_allowed", "account_closed", "no_account",
        "debit_not_authorized", "bank_account_restricted", "payment_method_unactivated",
    }
)  # fmt: skip


def is_hard(failure: Failure) -> bool:
    """Whether only another payment method helps."""
    return failure.code in HARD or failure.decline_code in HARD

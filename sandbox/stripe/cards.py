"""Stripe's public test cards: how a card behaves is decided by its number. Declines come from here, too."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.stripe.errors import StripeError
from sandbox.stripe.world import Body


@dataclass(frozen=True)
class TestCard:
    """One of the public numbers. `decline` refuses charges, `attaches` is whether it can be kept at a customer."""

    number: str
    brand: str = "visa"
    decline: tuple[str, str] | None = None  # code, decline_code
    attaches: bool = True
    behaviour: str = ""


CARDS = {
    "visa": TestCard("4242424242424242"),
    "mastercard": TestCard("5555555555554444", brand="mastercard"),
    "amex": TestCard("378282246310005", brand="amex"),
    "visa_chargeDeclined": TestCard(
        "4000000000000002", decline=("card_declined", "generic_decline"), attaches=False
    ),
    "visa_chargeDeclinedInsufficientFunds": TestCard(
        "4000000000009995", decline=("card_declined", "insufficient_funds"), attaches=False
    ),
    "visa_chargeDeclinedLostCard": TestCard(
        "4000000000009987", decline=("card_declined", "lost_card"), attaches=False
    ),
    "visa_chargeDeclinedStolenCard": TestCard(
        "4000000000009979", decline=("card_declined", "stolen_card"), attaches=False
    ),
    "chargeDeclinedExpiredCard": TestCard(
        "4000000000000069", decline=("expired_card", "expired_card"), attaches=False
    ),
    "chargeDeclinedIncorrectCvc": TestCard(
        "4000000000000127", decline=("incorrect_cvc", "incorrect_cvc"), attaches=False
    ),
    "chargeDeclinedProcessingError": TestCard(
        "4000000000000119", decline=("processing_error", "processing_error"), attaches=False
    ),
    "chargeCustomerFail": TestCard("4000000000000341", decline=("card_declined", "generic_decline")),
    "authenticationRequired": TestCard("4000002760003184", behaviour="authenticate"),
    "createDispute": TestCard("4000000000000259", behaviour="dispute"),
    "createDisputeInquiry": TestCard("4000000000001976", behaviour="inquiry"),
    "bypassPending": TestCard("4000000000000077", behaviour="available_at_once"),
    "pendingRefund": TestCard("4000000000007726", behaviour="refund_pending"),
    "refundFail": TestCard("4000000000005126", behaviour="refund_fails"),
    "createEarlyFraudWarning": TestCard("4000000000005423", behaviour="warning"),
}
_BY_NUMBER = {card.number: card for card in CARDS.values()}
DECLINES = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "lost_card": "Your card was declined.",
    "stolen_card": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}


def card_of(method: Body) -> TestCard:
    """Return how the method's card behaves."""
    return _BY_NUMBER.get(method.get("_number", ""), CARDS["visa"])


def number_card(number: str) -> TestCard | None:
    """Return the card with this number."""
    return _BY_NUMBER.get(number)


def named_card(name: str) -> TestCard | None:
    """Return the card that `pm_card_...` or `tok_...` names."""
    for prefix in ("pm_card_", "tok_"):
        if name.startswith(prefix):
            return CARDS.get(name.removeprefix(prefix))
    return None


def declined(decline: tuple[str, str], *, more: Body | None = None) -> StripeError:
    """Return a card's refusal (402): the failed charge and the intent's state stay."""
    code, decline_code = decline
    return StripeError(
        DECLINES.get(decline_code, "Your card was declined."),
        status=402, type="card_error", code=code, decline_code=decline_code, keeps_effects=True, more=more,
    )  # fmt: skip

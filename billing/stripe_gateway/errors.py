"""What the SDK's errors mean: refused, busy, unknown or wrong for a command; missing or unavailable for a read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import stripe

from billing.rules.payments.minor import REFUSED_AMOUNTS
from billing.rules.payments.outcomes import Busy, Outcome, Refused, Unknown, Wrong
from billing.stripe_gateway.mapping import Unreadable, plain, view_of
from common.errors import ServiceUnavailable

CREDENTIALS_PAUSE: Final = 60
_MESSAGE_LENGTH: Final = 500
_NO_RIGHT: Final = 403
_OF_AN_ACCOUNT: Final = "account_invalid"
"""The code of a 403 that is about the connected account that was named; any other is about our own key."""
_OF_A_PAYER: Final = (
    "payment_method_", "payment_intent_authentication", "payment_intent_incompatible", "payment_intent_mandate",
    "payment_intent_payment_attempt", "setup_intent_authentication", "bank_account_", "card_", "charge_exceeds_",
    "sepa_", "debit_not_", "authentication_required", "customer_max_", "expired_", "incorrect_", "insufficient_",
    "processing_error", *sorted(REFUSED_AMOUNTS),
)  # fmt: skip
"""How the codes begin of what is in the way of one payment: its method or its amount. Whatever else turns payments away
turns all of them away: the key, the account, our request."""


class NotAtProcessor(LookupError):
    """The processor knows no such object."""


class ProcessorUnavailable(ServiceUnavailable):
    """The payment processor does not answer at the moment; repeat the call with the same idempotency key."""

    code = "processor_unavailable"


class ProcessorRejected(RuntimeError):
    """The processor refused a read: a defect of ours, or a key without this right."""


class SignatureRejected(ValueError):
    """A webhook is not from the processor, or nothing that it sends. `reason`: header, signature, stale, future, body,
    shape, no_secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def meaning_of(error: stripe.StripeError) -> Outcome:
    """Return what an error of a call that writes means. An error class says less than status and code (the SDK's
    `code` of 409, 429 and 5xx is empty)."""
    if isinstance(error, stripe.CardError):
        return _declined(error)
    if isinstance(error, stripe.APIConnectionError):
        return Unknown(f"No answer: {_text(error)}")
    status = error.http_status or 0
    if _type(error) == "idempotency_error" and status == 400:
        return Wrong(
            f"Another request under the same key: {_text(error)}", "idempotency_error", error.request_id
        )
    if status == 429 or _code(error) in ("rate_limit", "lock_timeout"):
        reason = "lock_timeout" if _code(error) == "lock_timeout" else "rate_limit"
        return Busy(_retry_after(error), reason)
    if status == 409:
        return Busy(_retry_after(error), _code(error) or "conflict")
    if status == 401 or (status == _NO_RIGHT and _code(error) != _OF_AN_ACCOUNT):
        return Busy(CREDENTIALS_PAUSE, "credentials")
    if status in (400, 403, 404):
        return _turned_away(error)
    # A failure at their side, or an answer that nobody can read: it may have been done.
    return Unknown(f"{status or 'no status'}: {_text(error)}", _was_replayed(error), error.request_id)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what the SDK raises in a read into NotAtProcessor, ProcessorUnavailable or ProcessorRejected."""
    try:
        yield
    except stripe.StripeError as error:
        outcome = meaning_of(error)
        if isinstance(outcome, Refused) and (error.http_status == 404 or outcome.code == "resource_missing"):
            raise NotAtProcessor(outcome.message) from error
        if isinstance(outcome, Busy) and error.http_status != _NO_RIGHT:
            raise ProcessorUnavailable(retry_after=max(1, round(outcome.retry_after or 1))) from error
        if isinstance(outcome, Unknown):
            raise ProcessorUnavailable(retry_after=5) from error
        raise ProcessorRejected(_text(error)) from error


def _declined(error: stripe.CardError) -> Refused:
    """A decline is stored under its key, and what was declined is an object: a payment that waits for a method."""
    details = error.error
    made = getattr(details, "payment_intent", None) if details is not None else None
    values = plain(made) if made is not None else None
    return Refused(
        _code(error) or "card_declined",
        getattr(details, "decline_code", None) if details is not None else None,
        _text(error),
        stored=True,
        object_id=values["id"] if values else None,
        request_id=error.request_id,
        view=_readable(values),
    )


def _readable(values: dict[str, Any] | None) -> Any:
    try:
        return view_of(values) if values else None
    except Unreadable:
        return None


def _turned_away(error: stripe.StripeError) -> Outcome:
    code = _code(error) or _type(error) or "invalid_request"
    if code.startswith("parameter_"):
        return Wrong(_text(error), code, error.request_id)
    return Refused(code, None, _text(error), stored=False, request_id=error.request_id)


def turns_all_away(error: stripe.StripeError) -> bool:
    """Whether a payment that was turned away says nothing of its customer: no other payment would be made either."""
    if isinstance(error, stripe.CardError) or error.http_status not in (400, 404):
        return False
    if getattr(error, "param", None) == "payment_method":
        return False
    return not (_code(error) or "").startswith(_OF_A_PAYER)


def _code(error: stripe.StripeError) -> str | None:
    return getattr(error.error, "code", None) if error.error is not None else None


def _type(error: stripe.StripeError) -> str | None:
    return getattr(error.error, "type", None) if error.error is not None else None


def _text(error: stripe.StripeError) -> str:
    return str(error.user_message or type(error).__name__)[:_MESSAGE_LENGTH]


def _header(error: stripe.StripeError, name: str) -> str | None:
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name)


def _retry_after(error: stripe.StripeError) -> float | None:
    text = _header(error, "retry-after") or ""
    return float(text) if text.isascii() and text.isdigit() else None


def _was_replayed(error: stripe.StripeError) -> bool:
    return (_header(error, "idempotent-replayed") or "").lower() == "true"

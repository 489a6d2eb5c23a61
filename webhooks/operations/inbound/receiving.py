"""A delivery at the door: verified over its raw bytes, and read. Nothing is applied here."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings

from billing import stripe_gateway
from common.errors import ProblemError
from webhooks.operations.inbound.storing import Arrived
from webhooks.rules.inbound.judging import PLATFORM
from webhooks.rules.inbound.reading import InvalidPayload, read_event

MOST_HEADER_CHARACTERS: Final = 4_096


class InvalidSignature(ProblemError):
    """The delivery is not signed with a secret of this endpoint, or not in these minutes."""

    code = "invalid_signature"
    status = 400


class WebhooksNotConfigured(ProblemError):
    """No delivery can be verified without a secret; set STRIPE_WEBHOOK_SECRETS, STRIPE_CONNECT_WEBHOOK_SECRETS."""

    code = "webhooks_not_configured"
    status = 503
    retryable = True


def check_announced(*, header: str | None, source: str, now: datetime) -> None:
    """This function will refuse a delivery by its header alone, so that nobody's body is waited for who does not even
    pretend to be the processor in these minutes; `now` is the database's clock. It proves nothing.

    Raises WebhooksNotConfigured and InvalidSignature.
    """
    if not secrets_of(source):
        raise WebhooksNotConfigured
    if not header or len(header) > MOST_HEADER_CHARACTERS:
        raise InvalidSignature
    try:
        stripe_gateway.check_header(header, now)
    except stripe_gateway.SignatureRejected:
        raise InvalidSignature from None


def read_delivery(*, body: bytes, header: str | None, source: str, now: datetime) -> Arrived:
    """This function will verify a delivery and return its event (S81).

    Every secret of the endpoint is tried, and which one matched is kept; `now` is the database's clock. Raises
    WebhooksNotConfigured, InvalidSignature, InvalidPayload (signed, but no event).
    """
    secrets = secrets_of(source)
    if not secrets:
        raise WebhooksNotConfigured
    if not header or len(header) > MOST_HEADER_CHARACTERS:
        raise InvalidSignature
    matched = _verified(body, header, secrets, now)
    return Arrived(read_event(body), body, source, "delivery", matched)


def secrets_of(source: str) -> tuple[str, ...]:
    """The secrets of a kind of endpoint, the newest first."""
    found = settings.STRIPE_WEBHOOK_SECRETS if source == PLATFORM else settings.STRIPE_CONNECT_WEBHOOK_SECRETS
    return tuple(found)


def _verified(body: bytes, header: str, secrets: tuple[str, ...], now: datetime) -> int:
    try:
        return stripe_gateway.verify(body, header, secrets, now).secret
    except stripe_gateway.SignatureRejected as error:
        # What is no UTF-8 cannot be verified by the SDK, and would be no event under any signature.
        is_payload = error.reason in ("body", "shape") or not _is_utf8(body)
        raise (InvalidPayload if is_payload else InvalidSignature) from None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

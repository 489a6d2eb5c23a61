"""Whether a webhook is from the processor (S81): the signature over its raw bytes, and when it was made."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import stripe

from billing.rules.payments.events import EventView, VerifiedEvent
from billing.stripe_gateway.errors import SignatureRejected
from billing.stripe_gateway.mapping import event_view

TOLERANCE_SECONDS: Final = 300
_KINDS: Final = ("event", "v2.core.event")
_SIGNATURE: Final = re.compile("v1=[0-9a-f]{64}")


def verify(body: bytes, header: str, secrets: Sequence[str], now: datetime) -> VerifiedEvent:
    """This function will return the event in a webhook's body, when one of the secrets signed it at most 300 s before
    or after `now`.

    The SDK compares the signature (it raises errors of many classes for bad input, and has no bound ahead); the time is
    judged here, by the clock that is passed in. Raises SignatureRejected for everything else.
    """
    secret = _matching(bytes(body), header, secrets)
    signed_at = _signed_at(header)
    _check_age(signed_at, now)
    return VerifiedEvent(read_event(body), secret, signed_at)


def check_header(header: str, now: datetime) -> None:
    """This function will refuse a webhook whose signature is none, or is not of these minutes, without its body: it is
    what may be asked of anybody before a body is waited for, and proves nothing. Raises SignatureRejected."""
    if not header.isascii():
        raise SignatureRejected("header")
    if not any(_SIGNATURE.fullmatch(part) for part in header.split(",")):
        raise SignatureRejected("signature")
    _check_age(_signed_at(header), now)


def read_event(body: bytes) -> EventView:
    """Return the event in a body whose signature was checked before (it is stored). Raises SignatureRejected."""
    try:
        values = json.loads(bytes(body).decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SignatureRejected("body") from error
    if not _is_event(values):
        raise SignatureRejected("shape")
    try:
        return event_view(values)
    except Exception as error:  # whoever signs may send any shape, and none may be an error of ours
        raise SignatureRejected("shape") from error


def _check_age(signed_at: datetime, now: datetime) -> None:
    age = (now - signed_at).total_seconds()
    if age > TOLERANCE_SECONDS:
        raise SignatureRejected("stale")
    if age < -TOLERANCE_SECONDS:
        raise SignatureRejected("future")


def _matching(body: bytes, header: str, secrets: Sequence[str]) -> int:
    known = [secret.strip() for secret in secrets]
    if not any(known):
        raise SignatureRejected("no_secret")
    if not header or not header.isascii():
        raise SignatureRejected("header")
    for place, secret in enumerate(known):
        if secret and _is_signed(body, header, secret):
            return place
    raise SignatureRejected("signature")


def _is_signed(body: bytes, header: str, secret: str) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body, header, secret, None))
    except stripe.SignatureVerificationError:
        return False
    except Exception as error:  # TypeError, UnicodeDecodeError, IndexError ...: all of them mean no
        raise SignatureRejected("signature") from error


def _signed_at(header: str) -> datetime:
    try:
        first = next(part for part in header.split(",") if part.startswith("t="))
        return datetime.fromtimestamp(int(first[2:]), UTC)
    except (StopIteration, ValueError, OverflowError, OSError) as error:
        raise SignatureRejected("header") from error


def _is_event(values: Any) -> bool:
    if not isinstance(values, dict) or values.get("object") not in _KINDS:
        return False
    return all(isinstance(values.get(name), str) and values[name] for name in ("id", "type"))


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")

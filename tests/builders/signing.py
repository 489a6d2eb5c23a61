"""Webhooks as the processor signs them, by code of our own: HMAC-SHA256 of `t.body` under the endpoint's secret."""

import hashlib
import hmac
import json
from typing import Any

SECRET = "whsec_of_this_test"


def signature(body: bytes, *, at: int, secret: str = SECRET) -> str:
    """The hexadecimal signature of a body at a time."""
    return hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()


def signed(body: bytes, *, at: int, secret: str = SECRET) -> str:
    """The header Stripe-Signature of a body."""
    return f"t={at},v1={signature(body, at=at, secret=secret)}"


def event_body(**changes: Any) -> bytes:
    """The body of an event about a payment."""
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": "key_1"},
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
        **changes,
    }
    return json.dumps(event).encode()

"""POST /webhooks/stripe/ and /webhooks/stripe/connect/: where Stripe delivers its events.

Plain views: the body is taken once, as the bytes that were signed, before any parser could touch it. Nothing is applied
here, so that the answer is quick; what a delivery leads to is worked out in the background.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter

from common.api.answers import json_response
from common.api.requests import has_body, limited_body
from common.api.views import PlainView, plain_endpoint
from common.errors import ProblemError
from webhooks.operations.inbound.receiving import receive
from webhooks.rules.inbound.judging import CONNECT, PLATFORM

RECEIVED: Final = Counter(
    "counterfoil_stripe_deliveries", "Deliveries of Stripe that were accepted", ["source", "outcome"]
)
REJECTED: Final = Counter(
    "counterfoil_stripe_deliveries_rejected", "Deliveries that were refused, by reason", ["source", "reason"]
)


def door(source: str) -> PlainView:
    """The view of one kind of endpoint."""

    def deliver(request: HttpRequest) -> HttpResponse:
        try:
            body = limited_body(request) if has_body(request) else b""
            is_new = receive(body=body, header=request.headers.get("Stripe-Signature"), source=source)
        except ProblemError as error:
            REJECTED.labels(source, error.code).inc()
            raise
        RECEIVED.labels(source, "new" if is_new else "known").inc()
        return json_response({"received": True})

    return plain_endpoint(POST=deliver)


platform_door: Final = door(PLATFORM)
connect_door: Final = door(CONNECT)

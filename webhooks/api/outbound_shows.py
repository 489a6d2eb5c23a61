"""Outbound webhooks as answers show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.money import format_amount
from orgs.rules.facts import time_text
from webhooks.queries.outbound.deliveries import Delivery
from webhooks.rules.outbound.endpoints import ENABLED, Endpoint


def show_endpoint(row: Endpoint) -> dict[str, Any]:
    """An endpoint without its secrets."""
    return {
        "id": str(row.id),
        "organization": str(row.organization),
        "url": row.url,
        "description": row.description,
        "event_types": list(row.event_types),
        "low_credit": [format_amount(amount) for amount in row.low_credit],
        "enabled": row.status == ENABLED,
        "status": row.status,
        "disabled_reason": row.disabled_reason,
        "disabled_at": time_text(row.disabled_at),
        "created_at": time_text(row.created_at),
        "archived_at": time_text(row.archived_at),
    }


def show_delivery(row: Delivery) -> dict[str, Any]:
    """A delivery in a list."""
    return {
        "id": str(row.id),
        "organization": str(row.organization),
        "endpoint": str(row.endpoint),
        "message": f"msg_{row.message}",
        "event_type": row.event_type,
        "status": row.status,
        "attempts": row.attempts,
        "next_attempt_at": time_text(row.next_at) if row.status == "pending" else None,
        "response_status": row.response_status,
        "error": row.error,
        "created_at": time_text(row.created_at),
        "delivered_at": time_text(row.delivered_at),
    }


def show_delivery_whole(row: Delivery) -> dict[str, Any]:
    """A delivery with what is sent and its last attempts."""
    tries = [{**tried, "at": time_text(datetime.fromisoformat(tried["at"]))} for tried in row.tries]
    return {**show_delivery(row), "body": row.body, "tries": tries}

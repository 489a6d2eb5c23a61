"""Prices as answers show them: amounts as decimal strings, times in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.money import format_price
from orgs import PLATFORM_ID
from spend.api.representations import utc
from spend.rules.pricetexts import percent_of_ppm, shown_components

Row = Mapping[str, Any]


def show_price(row: Row) -> dict[str, Any]:
    """A version of a model's price; organization null: of the book."""
    names = (
        "id", "kind", "provider", "model", "currency", "daily_from", "daily_to", "source", "source_version",
        "approved_by",
    )  # fmt: skip
    return {
        **{name: row[name] for name in names},
        "organization": _owner(row["organization"]),
        "components": shown_components(row["components"]),
        "variants": _variants(row["variants"]),
        **_dates(row),
    }


def show_price_change(row: Row) -> dict[str, Any]:
    """A price change with the book's prices when it was proposed, and those of the source."""
    names = ("id", "provider", "model", "status", "source", "source_version", "decided_by", "reason")
    return {
        **{name: row[name] for name in names},
        "current": [_proposed(version) for version in row["current"]],
        "proposal": [_proposed(version) for version in row["proposal"]],
        "proposed_at": utc(row["proposed_at"]),
        "decided_at": utc(row["decided_at"]),
    }


def show_tool_price(row: Row) -> dict[str, Any]:
    """A tool's price."""
    return {
        **{name: row[name] for name in ("id", "pattern", "unit", "per", "currency", "source")},
        "organization": _owner(row["organization"]),
        "amount": format_price(row["amount"]),
        **_dates(row),
    }


def show_markup(row: Row) -> dict[str, Any]:
    """A markup; organization null: the default."""
    return {
        "id": row["id"],
        "organization": _owner(row["organization"]),
        "percent": percent_of_ppm(row["ppm"]),
        "reason": row["reason"],
        **_dates(row),
    }


def show_rate(row: Row) -> dict[str, Any]:
    """An exchange rate."""
    return {
        **{name: row[name] for name in ("id", "base", "quote", "source")},
        "rate": format_price(row["rate"]),
        "markup_percent": percent_of_ppm(row["markup_ppm"]),
        **_dates(row),
    }


def _owner(organization: UUID) -> UUID | None:
    return None if organization == PLATFORM_ID else organization


def _dates(row: Row) -> dict[str, datetime | None]:
    return {name: utc(row[name]) for name in ("valid_from", "valid_to", "published_at")}


def _variants(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"when": variant["when"], "components": shown_components(variant["components"])} for variant in stored
    ]


def _proposed(version: Row) -> dict[str, Any]:
    return {
        "components": shown_components(version["components"]),
        "variants": _variants(version["variants"]),
        **{name: version[name] for name in ("daily_from", "daily_to", "valid_from", "valid_to")},
    }

"""Contracts as answers show them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from billing.api.catalog import utc
from billing.queries.contracts import HistoryRow
from billing.queries.drawdown import DrawDown
from billing.rules.contracts.drawdown import Forecast, WindowDraw
from billing.rules.contracts.row import Contract, Version
from billing.rules.contracts.terms import write_contract
from common.money import format_amount
from orgs.rules.facts import time_text

AMOUNTS: Final = (
    "committed", "drawn", "remaining", "overage", "surcharge", "true_up", "lapsed", "credited", "rolled_in",
    "rolled_over",
)  # fmt: skip
COLUMNS: Final = ("contract", "number", "start", "end", "state", "currency", *AMOUNTS, "settled_at")


def show_contract(row: Contract) -> dict[str, Any]:
    """A contract."""
    terms = row.terms
    return {
        "id": row.id,
        "organization": row.organization,
        "status": row.status,
        "name": terms.name,
        "currency": row.currency,
        "purchase_order": terms.purchase_order,
        "net_days": terms.net_days,
        "time_zone": row.zone,
        "starts_at": utc(row.starts_at),
        "ends_at": utc(row.ends_at),
        "number": row.number,
        "versions": len(row.versions),
        "definition": write_contract(terms),
        "activated_at": utc(row.activated_at),
        "terminates_at": utc(row.terminates_at),
        "termination": row.termination,
        "ended_at": utc(row.ended_at),
        "next_at": utc(row.next_at),
        "version": row.version,
        "created_at": utc(row.created_at),
    }


def show_contract_version(each: Version) -> dict[str, Any]:
    """A version of a contract."""
    return {
        "number": each.number,
        "effective_at": utc(each.effective_at),
        "made_at": utc(each.made_at),
        "definition": write_contract(each.terms),
    }


def show_contract_event(row: HistoryRow) -> dict[str, Any]:
    """An event of a contract."""
    return {
        "version": row.version,
        "type": row.type,
        "at": utc(row.occurred_at),
        "recorded_at": utc(row.recorded_at),
        "actor": row.actor,
        "items": [
            {
                "id": item["item"],
                "kind": item["kind"],
                "description": item["description"],
                "amount": format_amount(item["amount"]),
                "due_at": item["due_at"],
            }
            for item in row.data.get("items", ())
        ],
    }


def show_draw_down(found: DrawDown) -> dict[str, Any]:
    """The draw-down report."""
    row = found.contract
    commitment = row.terms.commitment
    return {
        "contract": row.id,
        "organization": row.organization,
        "currency": row.currency,
        "kind": None if commitment is None else commitment.kind,
        "at": utc(found.at),
        "windows": [_window(each, utc) for each in found.windows],
        "forecast": None if found.forecast is None else _forecast(found.forecast),
    }


def draw_down_csv(found: DrawDown) -> bytes:
    """The windows of the report as CSV: numbers, times and words of ours only, so that no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for each in found.windows:
        shown = _window(each, time_text)
        shown |= {"contract": found.contract.id, "currency": found.contract.currency}
        writer.writerow(["" if shown[name] is None else shown[name] for name in COLUMNS])
    return text.getvalue().encode()


def _window(each: WindowDraw, time: Callable[[datetime | None], Any]) -> dict[str, Any]:
    window = each.window
    figures = {
        "committed": each.committed,
        "drawn": each.drawn,
        "remaining": each.remaining,
        "overage": each.overage,
        "surcharge": each.surcharge,
        "true_up": each.true_up,
        "lapsed": window.lapsed,
        "credited": window.credited,
        "rolled_in": each.rolled_in,
        "rolled_over": each.rolled_over,
    }
    return {
        "number": window.number,
        "start": time(window.start),
        "end": time(window.end),
        "state": each.state,
        "status": window.status,
        **{name: format_amount(units) for name, units in figures.items()},
        "settles_at": time(window.settle_at),
        "settled_at": time(window.settled_at),
    }


def _forecast(found: Forecast) -> dict[str, Any]:
    return {
        "remaining": format_amount(found.remaining),
        "window_end": utc(found.window_end),
        "on": utc(found.on),
        "earliest": utc(found.earliest),
        "latest": utc(found.latest),
        "lasts": found.on is None or found.on >= found.window_end,
        "rates": [
            {"days": days, "per_day": format_amount(rate)} for days, rate in sorted(found.per_day.items())
        ],
    }

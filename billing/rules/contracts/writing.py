"""A contract's row as JSON, as events and tables hold it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from billing.rules.contracts.row import Contract, FeeState, Piece, Published, Version, Window
from billing.rules.contracts.terms import parse_contract, write_contract
from billing.rules.plans import write_features
from orgs.rules.facts import id_text, time_text

Json = Mapping[str, Any]
_AMOUNTS = (
    "amount", "parked", "closed", "repaid", "repaid_billed", "fees", "used", "line", "overage", "true_up", "lapsed",
    "rolled", "credited",
)  # fmt: skip


def write_row(row: Contract) -> dict[str, Any]:
    """Return the row as an event holds it; without id, organization and version, which the event has itself."""
    terms = row.terms
    return {
        "status": row.status,
        "name": terms.name,
        "currency": row.currency,
        "purchase_order": terms.purchase_order,
        "net_days": terms.net_days,
        "zone": row.zone,
        "starts_at": time_text(row.starts_at),
        "ends_at": time_text(row.ends_at),
        "kind": None if terms.commitment is None else terms.commitment.kind,
        "number": row.number,
        "versions": [write_version(each) for each in row.versions],
        "windows": [write_window(each) for each in row.windows],
        "window_count": row.window_count,
        "next_window_at": time_text(row.next_window_at),
        "fees": {key: _fee(state) for key, state in sorted(row.fees.items())},
        "prices": [_price(each) for each in row.prices],
        "features": write_features(terms.features),
        "activated_at": time_text(row.activated_at),
        "terminates_at": time_text(row.terminates_at),
        "termination": row.termination,
        "reason": row.reason,
        "ended_at": time_text(row.ended_at),
        "next_at": time_text(row.next_at),
        "created_at": time_text(row.created_at),
    }


def read_row(data: Json) -> Contract:
    """Return the row of such JSON with `id`, `organization` and `version`; times may be in any notation of ISO 8601."""
    return Contract(
        id=UUID(data["id"]),
        organization=UUID(data["organization"]),
        status=data["status"],
        zone=data["zone"],
        versions=tuple(read_version(each) for each in data["versions"]),
        number=data["number"],
        windows=tuple(read_window(each) for each in data["windows"]),
        window_count=data["window_count"],
        next_window_at=_maybe(data["next_window_at"]),
        fees={key: _read_fee(state) for key, state in data["fees"].items()},
        prices=tuple(_read_price(each) for each in data["prices"]),
        activated_at=_maybe(data["activated_at"]),
        terminates_at=_maybe(data["terminates_at"]),
        termination=data["termination"],
        reason=data["reason"],
        ended_at=_maybe(data["ended_at"]),
        version=data["version"],
        created_at=_instant(data["created_at"]),
    )


def write_version(each: Version) -> dict[str, Any]:
    """Return a version with its document."""
    return {
        "number": each.number,
        "effective_at": time_text(each.effective_at),
        "document": write_contract(each.terms),
        "made_at": time_text(each.made_at),
    }


def read_version(data: Json) -> Version:
    """Return the version of such JSON."""
    return Version(
        data["number"],
        _instant(data["effective_at"]),
        parse_contract(data["document"]),
        _instant(data["made_at"]),
    )


def write_window(each: Window) -> dict[str, Any]:
    """Return a window."""
    return {
        "id": str(each.id),
        "number": each.number,
        "start_at": time_text(each.start),
        "end_at": time_text(each.end),
        "grants_end": time_text(each.grants_end),
        "settle_at": time_text(each.settle_at),
        "settled_at": time_text(each.settled_at),
        "status": each.status,
        "pieces": [[str(one.start), str(one.end), one.amount, one.whole] for one in each.pieces],
        "grants": [[str(grant), amount] for grant, amount in each.grants],
        "items": [[str(item), amount] for item, amount in each.items],
        **{name: getattr(each, name) for name in _AMOUNTS},
    }


def read_window(data: Json) -> Window:
    """Return the window of such JSON."""
    return Window(
        id=UUID(data["id"]),
        number=data["number"],
        start=_instant(data["start_at"]),
        end=_instant(data["end_at"]),
        grants_end=_instant(data["grants_end"]),
        settle_at=_instant(data["settle_at"]),
        settled_at=_maybe(data["settled_at"]),
        status=data["status"],
        pieces=tuple(
            Piece(date.fromisoformat(start), date.fromisoformat(end), amount, whole)
            for start, end, amount, whole in data["pieces"]
        ),
        grants=tuple((UUID(grant), amount) for grant, amount in data["grants"]),
        items=tuple((UUID(item), amount) for item, amount in data["items"]),
        **{name: data[name] for name in _AMOUNTS},
    )


def _fee(state: FeeState) -> dict[str, Any]:
    return {
        "since": time_text(state.since),
        "start": time_text(state.start),
        "amount": state.amount,
        "item": id_text(state.item),
    }


def _read_fee(data: Json) -> FeeState:
    item = data["item"]
    return FeeState(
        _instant(data["since"]), _maybe(data["start"]), data["amount"], None if item is None else UUID(item)
    )


def _price(each: Published) -> dict[str, Any]:
    return {
        "id": str(each.id),
        "kind": each.kind,
        "digest": each.digest,
        "start": time_text(each.start),
        "end": time_text(each.end),
    }


def _read_price(data: Json) -> Published:
    return Published(
        UUID(data["id"]), data["kind"], data["digest"], _instant(data["start"]), _instant(data["end"])
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)

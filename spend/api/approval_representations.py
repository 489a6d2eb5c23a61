"""Overrides and approvals as answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spend.api.representations import target_name, utc
from spend.queries.approvals import ApprovalRow
from spend.queries.overrides import OverrideRow
from spend.rules.budgets import MONEY_FREE_UNITS
from spend.rules.budgets import shown as written_in


def show_override(row: OverrideRow, *, names: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """An override as it is at `now`; `names`: keys of targets by id."""
    override = row.override
    return {
        "id": override.id,
        "organization": override.organization,
        "budget_id": override.budget_id,
        "target": None if override.target is None else names.get(override.target, override.target),
        "run": override.run_key,
        "amount": written_in(row.unit)(override.extra),
        **_unit(row.unit),
        "reason": override.reason,
        "until": utc(override.expires_at),
        "status": override.status_at(now),
        "created_by": override.created_by,
        "created_at": utc(override.created_at),
        "ended_by": override.ended_by,
        "ended_at": utc(override.ended_at),
        "end_reason": override.end_reason,
    }


def show_approval(row: ApprovalRow) -> dict[str, Any]:
    """An approval; its target by key where the call that crossed the threshold had one."""
    approval, write = row.approval, written_in(row.approval.unit)
    return {
        "id": approval.id,
        "organization": approval.organization,
        "budget_id": approval.budget_id,
        "target": approval.label or target_name(approval.target, {}),
        "window_start": utc(approval.window_start),
        "window_end": utc(approval.window_end),
        "percent": approval.percent,
        "amount": None if approval.amount is None else write(approval.amount),
        "used": write(approval.used),
        "limit": write(approval.amount_limit),
        **_unit(approval.unit),
        "agent": row.agent,
        "run": row.run,
        "status": row.status,
        "asked_at": utc(approval.asked_at),
        "decided_by": approval.decided_by,
        "decided_at": utc(approval.decided_at),
        "reason": approval.reason,
    }


def _unit(unit: str) -> dict[str, str | None]:
    in_money = unit not in MONEY_FREE_UNITS
    return {"currency": unit if in_money else None, "unit": None if in_money else unit}

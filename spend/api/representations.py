"""The objects of this app as answers show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import add
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from common.money import format_amount
from ledger.rules.grants import GRANT_SOURCES
from spend.queries.budgets import ID_LENGTH, LiveCounter
from spend.queries.reservations import LiveLayer
from spend.queries.runs import RunRow, Spent
from spend.rules.budgetfacts import Budget, definition_of
from spend.rules.budgets import MONEY_FREE_UNITS, BudgetDefinition, cap
from spend.rules.budgets import shown as written_in
from spend.rules.state import HOLDS
from spend.rules.thresholds import as_shown

MAX_LEVELS = 50
"""How deep a run shows its child runs."""


def show_budget(
    budget: Budget, *, names: Mapping[str, str], counters: list[LiveCounter], extra: Mapping[str, int]
) -> dict[str, Any]:
    """A budget with what the targets of its current window use; `names`: keys of targets by id, `extra`: what
    overrides add to the limit, by target."""
    write = written_in(budget.unit)
    in_money = budget.unit not in MONEY_FREE_UNITS
    target = budget.target_label
    if budget.target_id is not None:
        target = names.get(str(budget.target_id), str(budget.target_id))
    return {
        "id": budget.id,
        "organization": budget.organization,
        "scope": budget.scope,
        "target": target,
        "target_id": budget.target_id,
        "window": budget.window_kind,
        "rolling_seconds": budget.rolling_seconds,
        "limit": write(budget.amount_limit),
        "currency": budget.unit if in_money else None,
        "unit": None if in_money else budget.unit,
        "measure": budget.measure,
        "time_zone": budget.time_zone,
        "overdraft": write(budget.overdraft),
        "mode": budget.mode,
        "thresholds": [as_shown(threshold, write) for threshold in budget.thresholds],
        "status": "active" if budget.archived_at is None else "archived",
        "version": budget.version,
        "created_at": utc(budget.created_at),
        "archived_at": utc(budget.archived_at),
        "counters": [_counter(budget, counter, names, extra.get(counter.target, 0)) for counter in counters],
    }


def _counter(budget: Budget, counter: LiveCounter, names: Mapping[str, str], extra: int) -> dict[str, Any]:
    write = written_in(budget.unit)
    remaining = cap(definition_of(budget)) + extra - counter.spent - counter.held
    return {
        "target": target_name(counter.target, names),
        "window_start": utc(counter.window_start),
        "window_end": utc(counter.window_end),
        "spent": write(counter.spent),
        "held": write(counter.held),
        "remaining": write(max(0, remaining)),
        "resets_at": utc(counter.resets_at),
    }


def target_name(target: str, names: Mapping[str, str]) -> str | None:
    """A counter's target by key; where a window is a run, the target's key and the run's after a slash."""
    head, tail = target[:ID_LENGTH], target[ID_LENGTH:]
    return (names[head] + tail if head in names else target) or None


def utc(moment: datetime | None) -> datetime | None:
    """A time of an answer, in UTC."""
    return None if moment is None else moment.astimezone(UTC)


def show_reservation(
    row: Mapping[str, Any], *, layers: Mapping[int, LiveLayer], now: datetime
) -> dict[str, Any]:
    """A reservation: what the 201 said as far as it is stored, who it is for, and how it ended."""
    active = row["status"] == "active"
    left = max(0, int((row["expires_at"] - now).total_seconds() * 1000)) if active else None
    receipt = zip(row["counters"], row["measures"], strict=True)
    return {
        "id": row["id"],
        "organization": row["organization"],
        "decision": "allow",
        "status": row["status"],
        "subject": subject_of(row),
        "action": row["action"],
        "held": format_amount(row["held"]),
        "currency": row["currency"],
        "estimated_cost": format_amount(row["estimated_cost"]),
        "price_version": row["price_version"],
        "created_at": utc(row["created_at"]),
        "expires_at": utc(row["expires_at"]),
        "remaining_ttl_ms": left,
        "ended_at": utc(row["ended_at"]),
        "charged": amount_or_none(row["charged"]),
        "overage": amount_or_none(row["overage"]),
        "late": row["late"],
        "caps": {},
        "budgets": [
            _layer(layers[number], row[HOLDS[letter]] or 0) for number, letter in receipt if number in layers
        ],
        "funding": funding_of(row["funding"]),
    }


def _layer(layer: LiveLayer, amount: int) -> dict[str, Any]:
    write = written_in(layer.unit)
    most = cap(_definition(layer)) - layer.spent - layer.held
    return {
        "id": layer.budget_id,
        "scope": layer.scope,
        "target": layer.label,
        "window": layer.window_kind,
        "unit": layer.unit,
        "limit": write(layer.amount_limit),
        "spent": write(layer.spent),
        "held": write(layer.held),
        "remaining": write(max(0, most)),
        "resets_at": utc(layer.window_end) if layer.window_kind != "rolling" else None,
        "requested": write(amount),
    }


def _definition(layer: LiveLayer) -> BudgetDefinition:
    """As much of the budget's definition as its cap needs."""
    return BudgetDefinition(
        layer.budget_id, layer.scope, None, None, layer.window_kind, layer.rolling_seconds, layer.unit, "charge",
        layer.amount_limit, layer.overdraft, "enforce", ZoneInfo("UTC"), layer.thresholds, 1,
    )  # fmt: skip


def show_run(run: RunRow, *, currency: str) -> dict[str, Any]:
    """A run with its own totals, children not included."""
    return {
        "id": run.id,
        "organization": run.organization,
        "key": run.key,
        "root_run": run.root_key,
        "parent_run": run.parent_key,
        "agent": run.agent,
        "workflow": run.workflow,
        "status": run.status,
        "started_at": utc(run.started_at),
        "currency": currency,
        **_totals((_figures_of(run),)),
    }


def show_run_tree(
    tree: list[RunRow], *, currency: str, retries: Mapping[UUID, Spent], steps: list[Mapping[str, Any]]
) -> dict[str, Any]:
    """A run (the first of the list) with its own totals, those of all below it, its steps and its child runs, down to
    MAX_LEVELS; what is deeper is in the totals."""
    run = tree[0]
    return {
        **show_run(run, currency=currency),
        "total": _totals([_figures_of(each) for each in tree]),
        "retries": _spent(retries.get(run.id)),
        "steps": [_money(step) for step in steps],
        "children": _children(tree, retries),
    }


def _children(tree: list[RunRow], retries: Mapping[UUID, Spent]) -> list[dict[str, Any]]:
    """What is below the first of the list, level by level (parents stand first), so that no depth costs a call each."""
    total, level, nested = _sums_below(tree), {tree[0].id: 0}, {tree[0].id: list[dict[str, Any]]()}
    for run in tree[1:]:
        assert run.parent_id is not None
        level[run.id] = level[run.parent_id] + 1
        if level[run.id] > MAX_LEVELS:
            continue
        nested[run.id] = []
        nested[run.parent_id].append(
            {
                "id": run.id,
                "key": run.key,
                "agent": run.agent,
                "status": run.status,
                **_totals((_figures_of(run),)),
                "total": _totals((total[run.id],)),
                "retries": _spent(retries.get(run.id)),
                "children": nested[run.id],
            }
        )
    return nested[tree[0].id]


def _sums_below(tree: list[RunRow]) -> dict[UUID, tuple[int, ...]]:
    """Each run's figures with those of all below it."""
    sums = {run.id: _figures_of(run) for run in tree}
    for run in reversed(tree[1:]):
        assert run.parent_id is not None
        sums[run.parent_id] = tuple(map(add, sums[run.parent_id], sums[run.id]))
    return sums


def _figures_of(run: RunRow) -> tuple[int, ...]:
    return run.held, run.charged, run.cost, run.tokens, run.tool_calls, run.reservations, run.usage_count


def _totals(figures: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    held, charged, cost, tokens, tool_calls, reservations, usage_records = map(
        sum, zip(*figures, strict=True)
    )
    return {
        "held": format_amount(held),
        "charged": format_amount(charged),
        "cost": format_amount(cost),
        "tokens": tokens,
        "tool_calls": tool_calls,
        "reservations": reservations,
        "usage_records": usage_records,
    }


def _spent(spent: Spent | None) -> dict[str, Any]:
    found = spent or Spent(0, 0, 0)
    return {"calls": found.calls, "cost": format_amount(found.cost), "charge": format_amount(found.charge)}


def _money(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if value is not None}
    return {**shown, "cost": format_amount(row["cost"]), "charge": format_amount(row["charge"])}


def show_decision(row: Mapping[str, Any]) -> dict[str, Any]:
    """A decision; `requested` is in the unit of the binding budget, else in the currency."""
    detail = row["detail"] or {}
    binding = detail.get("binding")
    unit = (binding or {}).get("unit", row["currency"])
    return {
        "id": row["id"],
        "at": utc(row["at"]),
        "answer": row["answer"],
        "code": row["code"],
        "count": row["count"],
        "dry_run": row["dry"],
        "requested": written_in(unit)(row["requested"]),
        "unit": unit,
        "currency": row["currency"],
        "agent": row["agent"],
        "run": row["run"],
        "reservation": row["reservation"],
        "binding_scope": row["binding_scope"],
        "budget_id": row["binding_budget"],
        "budget_version": row["binding_version"],
        "binding": binding,
        "also_failing": detail.get("also_failing", []),
        "observed": detail.get("observed", []),
        "funding": funding_of(row["funding"] or []),
    }


def show_usage(row: Mapping[str, Any]) -> dict[str, Any]:
    """A usage record, or a denied call as usage with outcome blocked and cost 0."""
    shown: dict[str, Any] = {
        "object": row["object"],
        "id": row["id"],
        "occurred_at": utc(row["occurred_at"]),
        "recorded_at": utc(row["recorded_at"]),
        "outcome": row["outcome"],
        "reason": row["reason"],
        "count": row["count"],
        "subject": subject_of(row),
        "action": {
            name: row[name] for name in ("kind", "provider", "model", "tool") if row[name] is not None
        },
        "cost": format_amount(row["cost"]),
        "charge": format_amount(row["charge"]),
        "currency": row["currency"],
    }
    return shown if row["object"] == "denial" else shown | _record(row)


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    plain = (
        "reservation", "price_version", "fx_rate", "latency_ms", "step", "attempt", "hop", "parent_task", "root_run",
        "response_id", "source", "external_id", "adjustment",
    )  # fmt: skip
    counts = (
        "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens",
        "reasoning_output_tokens",
    )  # fmt: skip
    detail = row["detail"] or {}
    return {
        **{name: row[name] for name in plain},
        "usage": {**{name: row[name] for name in counts}, "tool_calls": detail.get("tools", {})},
        "components": [
            dict(zip(("component", "quantity", "cost", "currency"), line, strict=False))
            for line in detail.get("lines", ())
        ],
        "funding": funding_of(row["funding"]),
        **({"metered": _metered(detail["metered"])} if "metered" in detail else {}),
    }


def funding_of(receipt: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """A receipt: what paid for which part, or is held for it, in the order taken."""
    return [
        {
            "source": source,
            "grant": name if source in GRANT_SOURCES else None,
            "amount": format_amount(amount),
        }
        for source, name, amount in receipt
    ]


def _metered(detail: Mapping[str, Any]) -> dict[str, Any]:
    names = ("meter", "charge", "start", "end", "quantity")
    return {name: detail[name] for name in names if name in detail}


def subject_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whom a call is attributed to, by key; what was not said is null."""
    return {name: row[name] for name in ("agent", "team", "workflow", "run", "connection", "user")}


def amount_or_none(units: int | None) -> str | None:
    """An amount that may be missing."""
    return None if units is None else format_amount(units)

"""Events of switches, standings, rate limits, run policies, overrides, approvals, incidents and velocity rules to rows.

Every event carries its row's whole new definition, so the last one wins. What the gate keeps in its cache raises the
organization's config_epoch by one; incidents, approvals and velocity rules are not looked at by it.
"""

from typing import Final

from orgs.defining import DefinedTable

_TARGET: Final = {"scope": "text", "target_id": "uuid", "target_label": "text"}
_LIFE: Final = {"mode": "text", "created_at": "timestamptz", "archived_at": "timestamptz"}
SWITCHES: Final = DefinedTable(
    "switch",
    "switches",
    {
        **_TARGET,
        "kind": "text",
        "mode": "text",
        "cause": "text",
        "incident_id": "uuid",
        "reason": "text",
        "set_by": "text",
        "set_at": "timestamptz",
        "lifted_by": "text",
        "lifted_at": "timestamptz",
        "lift_reason": "text",
    },
    is_cached=True,
)
RATE_LIMITS: Final = DefinedTable(
    "rate_limit",
    "rate_limits",
    {
        **_TARGET,
        "per": "text",
        "unit": "text",
        "direction": "text",
        "amount_limit": "bigint",
        "window_kind": "text",
        "burst": "bigint",
        "behaviour": "text",
        "escalate_denials": "integer",
        "escalate_seconds": "integer",
        "active_from": "text",
        "active_until": "text",
        "time_zone": "text",
        **_LIFE,
    },
    is_cached=True,
)
RUN_POLICIES: Final = DefinedTable(
    "run_policy", "run_policies", {**_TARGET, "rules": "jsonb", **_LIFE}, is_cached=True
)
OVERRIDES: Final = DefinedTable(
    "budget_override",
    "budget_overrides",
    {
        "budget_id": "uuid",
        "target": "text",
        "run_key": "text",
        "extra": "bigint",
        "reason": "text",
        "created_by": "text",
        "created_at": "timestamptz",
        "expires_at": "timestamptz",
        "ended_by": "text",
        "ended_at": "timestamptz",
        "end_reason": "text",
    },
    is_cached=True,
)
APPROVALS: Final = DefinedTable(
    "approval",
    "approvals",
    {
        "budget_id": "uuid",
        "counter": "integer",
        "target": "text",
        "label": "text",
        "window_start": "timestamptz",
        "window_end": "timestamptz",
        "armed": "integer",
        "rank": "smallint",
        "percent": "integer",
        "amount": "bigint",
        "used": "bigint",
        "amount_limit": "bigint",
        "unit": "text",
        "agent_id": "uuid",
        "run_id": "uuid",
        "status": "text",
        "asked_at": "timestamptz",
        "decided_by": "text",
        "decided_at": "timestamptz",
        "reason": "text",
    },
)
INCIDENTS: Final = DefinedTable(
    "incident",
    "incidents",
    {
        "trigger": "text",
        "mode": "text",
        "action": "text",
        **_TARGET,
        "agent_id": "uuid",
        "run_id": "uuid",
        "run_key": "text",
        "rule_id": "uuid",
        "switch_id": "uuid",
        "spent": "bigint",
        "evidence": "jsonb",
        "began_at": "timestamptz",
        "opened_at": "timestamptz",
        "released_at": "timestamptz",
        "released_by": "text",
        "release_reason": "text",
    },
)
VELOCITY_RULES: Final = DefinedTable(
    "velocity_rule",
    "velocity_rules",
    {
        "scope": "text",
        "target_id": "uuid",
        "factor": "integer",
        "minimum": "bigint",
        "history_hours": "integer",
        "action": "text",
        **_LIFE,
    },
)
STANDINGS: Final = DefinedTable(
    "standing",
    "standings",
    {
        "standing": "text",
        "since": "timestamptz",
        "per_minute": "integer",
        "case_id": "uuid",
        "spends_credit": "boolean",
    },
    is_cached=True,
)
SPLIT_RULES: Final = DefinedTable(
    "split_rule", "split_rules", {"listing_id": "uuid", "rules": "jsonb"}, is_cached=True
)
TABLES: Final = (
    SWITCHES,
    RATE_LIMITS,
    RUN_POLICIES,
    OVERRIDES,
    APPROVALS,
    INCIDENTS,
    VELOCITY_RULES,
    STANDINGS,
    SPLIT_RULES,
)


def register_all() -> None:
    """This function will register one projector for each of these tables."""
    for table in TABLES:
        table.register("spend")

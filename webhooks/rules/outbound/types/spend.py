"""What the gate does, as customers are told: thresholds, stops, incidents, approvals, denials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from events.publictypes import Builder, PublicType
from events.rules.facts import Event
from spend.rules.budgets import shown

Data = Mapping[str, Any]
_AGENT: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1a01"
_BUDGET: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1a02"
_OBJECT: Final = "01990a4c-7b1e-7cc3-9d52-0f6b8d5b1a03"
_AT: Final = "2026-03-01T09:30:00Z"


def _label(data: Data, scope: str, label: Any) -> Any:
    """A label of the customer's; not one of an end user, which may be a person's name."""
    return None if scope == "user" else label


def _threshold(event: Event) -> Data:
    data = event.data
    text = shown(data["unit"])
    return {
        "budget": data["budget"],
        "scope": data["scope"],
        "target": _label(data, data["scope"], data.get("target")),
        "action": data["action"],
        "percent": data.get("percent"),
        "level": text(data.get("level", data["limit"])),  # a counted ceiling has no levels
        "used": text(data["used"]),
        "limit": text(data["limit"]),
        "unit": data["unit"],
        "mode": data["mode"],
        "agent": data.get("agent"),
        "run": data.get("run"),
        "window_start": data.get("window_start"),
        "window_end": data.get("window_end"),
    }


def _switched(event: Event) -> Data:
    data = event.data
    return {
        "switch": str(event.stream_id),
        "scope": data["scope"],
        "target": data["target_id"] or _label(data, data["scope"], data["target_label"]),
        "cause": data["cause"],
        "incident": data["incident_id"],
        "set_at": data["set_at"],
        "lifted_at": data["lifted_at"],
    }


def _switch(kind: str, *scopes: str, but: tuple[str, ...] = ()) -> Builder:
    """A switch of this kind, in mode enforce, of these scopes (none: of every one but some)."""

    def build(event: Event) -> Data | None:
        data = event.data
        scope = data["scope"]
        is_meant = scope in scopes if scopes else scope not in but
        return _switched(event) if data["kind"] == kind and data["mode"] == "enforce" and is_meant else None

    return build


def _incident(event: Event) -> Data:
    data = event.data
    return {
        "incident": str(event.stream_id),
        "trigger": data["trigger"],
        "mode": data["mode"],
        "action": data["action"],
        "scope": data["scope"],
        "target": data["target_id"] or _label(data, data["scope"], data["target_label"]),
        "agent": data["agent_id"],
        "run": data["run_key"],
        "rule": data["rule_id"],
        "began_at": data["began_at"],
        "opened_at": data["opened_at"],
        "released_at": data["released_at"],
    }


def _approval(event: Event) -> Data:
    data = event.data
    text = shown(data["unit"])
    return {
        "approval": str(event.stream_id),
        "budget": data["budget_id"],
        "percent": data["percent"],
        "used": text(data["used"]),
        "limit": text(data["amount_limit"]),
        "unit": data["unit"],
        "agent": data["agent_id"],
        "status": data["status"],
        "asked_at": data["asked_at"],
        "decided_at": data["decided_at"],
    }


_SWITCH_EXAMPLE: Final = {
    "switch": _OBJECT,
    "scope": "agent",
    "target": _AGENT,
    "cause": "threshold",
    "incident": _BUDGET,
    "set_at": _AT,
    "lifted_at": None,
}
_LIFTED_EXAMPLE: Final = {**_SWITCH_EXAMPLE, "lifted_at": "2026-03-01T10:00:00Z"}
_RUN: Final = {**_SWITCH_EXAMPLE, "scope": "run", "target": "nightly-report-17"}
_KILL: Final = {**_SWITCH_EXAMPLE, "scope": "connection", "cause": "manual", "incident": None}
_INCIDENT_EXAMPLE: Final = {
    "incident": _OBJECT,
    "trigger": "run_ceiling",
    "mode": "enforce",
    "action": "block",
    "scope": "run",
    "target": "nightly-report-17",
    "agent": _AGENT,
    "run": "nightly-report-17",
    "rule": _BUDGET,
    "began_at": "2026-03-01T09:12:00Z",
    "opened_at": _AT,
    "released_at": None,
}
_APPROVAL_EXAMPLE: Final = {
    "approval": _OBJECT,
    "budget": _BUDGET,
    "percent": 90,
    "used": "90",
    "limit": "100",
    "unit": "USD",
    "agent": _AGENT,
    "status": "pending",
    "asked_at": _AT,
    "decided_at": None,
}
_THRESHOLD_EXAMPLE: Final = {
    "budget": _BUDGET,
    "scope": "agent",
    "target": None,
    "action": "notify",
    "percent": 80,
    "level": "80",
    "used": "80.12",
    "limit": "100",
    "unit": "USD",
    "mode": "enforce",
    "agent": _AGENT,
    "run": "nightly-report-17",
    "window_start": "2026-03-01T00:00:00Z",
    "window_end": "2026-03-02T00:00:00Z",
}
_DENIED_EXAMPLE: Final = {
    "agent": _AGENT,
    "code": "budget_exceeded",
    "phase": "summary",
    "denials": 312,
    "window_start": "2026-03-01T09:30:00Z",
    "window_end": "2026-03-01T09:45:00Z",
}


def _of_switch(
    name: str, text: str, event: str, build: Callable[[Event], Data | None], example: Data
) -> PublicType:
    return PublicType(name, text, example, {event: build})


_RUNS: Final = ("run",)
_OTHERS: Final = ("agent", "run")

SPEND_TYPES: Final[tuple[PublicType, ...]] = (
    PublicType(
        "threshold.crossed",
        "A level of a budget was reached, or refused a call for the first time; once per window.",
        _THRESHOLD_EXAMPLE,
        {"threshold.crossed": _threshold},
    ),
    PublicType(
        "spend.denied",
        "Calls were denied: at the first denial of an agent with a code, and once more at the end of 15 minutes with "
        "how many there were.",
        _DENIED_EXAMPLE,
    ),
    _of_switch(
        "agent.paused", "An agent may not work.", "switch.set", _switch("pause", "agent"), _SWITCH_EXAMPLE
    ),
    _of_switch("agent.resumed", "It may go on.", "switch.lifted", _switch("pause", "agent"), _LIFTED_EXAMPLE),
    _of_switch("run.paused", "A run may not work.", "switch.set", _switch("pause", *_RUNS), _RUN),
    _of_switch(
        "run.resumed",
        "It may go on.",
        "switch.lifted",
        _switch("pause", *_RUNS),
        {**_RUN, "lifted_at": "2026-03-01T10:00:00Z"},
    ),
    _of_switch("run.stopped", "A run never works again.", "switch.set", _switch("stop", *_RUNS), _RUN),
    _of_switch(
        "pause.set",
        "A team, workflow, connection, user, key or the organization may not work.",
        "switch.set",
        _switch("pause", but=_OTHERS),
        {**_SWITCH_EXAMPLE, "scope": "team", "cause": "manual", "incident": None},
    ),
    _of_switch(
        "pause.lifted",
        "It may go on.",
        "switch.lifted",
        _switch("pause", but=_OTHERS),
        {**_LIFTED_EXAMPLE, "scope": "team", "cause": "manual", "incident": None},
    ),
    _of_switch("kill_switch.set", "A kill switch was thrown.", "switch.set", _switch("kill"), _KILL),
    _of_switch(
        "kill_switch.lifted",
        "It was released.",
        "switch.lifted",
        _switch("kill"),
        {**_KILL, "lifted_at": "2026-03-01T10:00:00Z"},
    ),
    PublicType(
        "incident.opened",
        "A rule acted against spending.",
        _INCIDENT_EXAMPLE,
        {"incident.opened": _incident},
    ),
    PublicType(
        "incident.released",
        "A person dealt with it.",
        {**_INCIDENT_EXAMPLE, "released_at": "2026-03-01T10:00:00Z"},
        {"incident.released": _incident},
    ),
    PublicType(
        "approval.requested",
        "A level was crossed that waits for a person; calls are refused until then.",
        _APPROVAL_EXAMPLE,
        {"approval.requested": _approval},
    ),
    PublicType(
        "approval.approved",
        "Work goes on up to the next such level.",
        {**_APPROVAL_EXAMPLE, "status": "approved", "decided_at": "2026-03-01T10:00:00Z"},
        {"approval.approved": _approval},
    ),
    PublicType(
        "approval.rejected",
        "It does not.",
        {**_APPROVAL_EXAMPLE, "status": "rejected", "decided_at": "2026-03-01T10:00:00Z"},
        {"approval.rejected": _approval},
    ),
)

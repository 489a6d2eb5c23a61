"""Making, changing and archiving budgets; each takes effect at the gate's next decision (S42)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.errors import CurrencyMismatch, NotFound
from common.ids import new_id
from events.store import Cursor, Event, append
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.queries.subjects import resolve_agent, resolve_connection, resolve_team, resolve_workflow
from orgs.rules.facts import time_text
from orgs.rules.permissions import PolicyLevel, policy_level
from orgs.rules.rows import LockedOrganization
from spend.queries.budgets import BudgetRow, find_budget
from spend.rules.budget_facts import NAMED_SCOPES, changed, check_window, refuse_archived
from spend.rules.budgets import MONEY_FREE_UNITS, Threshold

RESOLVERS = {
    "team": resolve_team,
    "agent": resolve_agent,
    "workflow": resolve_workflow,
    "connection": resolve_connection,
}
Permit = Callable[[PolicyLevel], None]


@dataclass(frozen=True, slots=True)
class NewBudget:
    """What a budget is to be. `limit` and `overdraft` in units of 10^-8, or whole TOKENS, CREDITS, RISK_POINTS."""

    organization: UUID
    scope: str
    window: str
    limit: int
    unit: str
    thresholds: tuple[Threshold, ...]
    target: str | None = None
    rolling_seconds: int | None = None
    measure: str = "charge"
    overdraft: int = 0
    mode: str = "enforce"
    time_zone: str | None = None


def create_budget(cur: Cursor, new: NewBudget, *, author: Author, permit: Permit) -> UUID:
    """This function will make a budget and return its id. Without a target everyone of its scope gets its own.

    `permit` refuses an author of another level (S43). Raises NotFound for an unknown target, CurrencyMismatch,
    InvalidField, InvalidThresholds and Forbidden.
    """
    check_window(new.scope, new.window, new.rolling_seconds)
    locked = lock_organization(cur, new.organization)
    if new.unit not in MONEY_FREE_UNITS and new.unit != locked.currency:
        raise CurrencyMismatch(f"The organization's currency is {locked.currency}.", pointer="/currency")
    target_id, label = _target(cur, new, permit)
    data = {
        "scope": new.scope,
        "target_id": None if target_id is None else str(target_id),
        "target_label": label,
        "window_kind": new.window,
        "rolling_seconds": new.rolling_seconds,
        "unit": new.unit,
        "measure": new.measure,
        "amount_limit": new.limit,
        "overdraft": new.overdraft,
        "mode": new.mode,
        "time_zone": new.time_zone or locked.time_zone,
        "thresholds": [stored(threshold) for threshold in new.thresholds],
        "created_at": time_text(locked.now),
    }
    budget = new_id()
    append(cur, [_event(locked, budget, 1, "created", data, author)])
    return budget


def change_budget(
    cur: Cursor, *, organization: UUID, budget: UUID, changes: dict[str, Any], author: Author, permit: Permit
) -> None:
    """This function will change limit, overdraft, mode or thresholds; old and new value stand in the event (S42).

    A limit below spent + held is allowed: new work is then refused at once. Raises NotFound, Forbidden,
    InvalidTransition (archived) and InvalidThresholds.
    """
    locked, row = _existing(cur, organization, budget, permit)
    if "thresholds" in changes:
        changes = {**changes, "thresholds": [stored(threshold) for threshold in changes["thresholds"]]}
    before = row.data()
    data = changed(before, changes, before)
    if data["changed"]:
        append(cur, [_event(locked, budget, row.definition.version + 1, "changed", data, author)])


def archive_budget(cur: Cursor, *, organization: UUID, budget: UUID, author: Author, permit: Permit) -> None:
    """This function will end a budget; what it counted stays. Raises NotFound, Forbidden and InvalidTransition."""
    locked, row = _existing(cur, organization, budget, permit)
    data = {**row.data(), "archived_at": time_text(locked.now)}
    append(cur, [_event(locked, budget, row.definition.version + 1, "archived", data, author)])


def stored(threshold: Threshold) -> dict[str, Any]:
    """Return a threshold as events and rows keep it."""
    level = {"percent": threshold.percent} if threshold.percent is not None else {"amount": threshold.amount}
    return {**level, "action": threshold.action}


def _existing(
    cur: Cursor, organization: UUID, budget: UUID, permit: Permit
) -> tuple[LockedOrganization, BudgetRow]:
    locked = lock_organization(cur, organization)
    row = find_budget(cur, organization=organization, budget=budget)
    _check_level(cur, organization, row.definition.scope, row.definition.target_id, permit)
    refuse_archived(row.archived_at)
    return locked, row


def _target(cur: Cursor, new: NewBudget, permit: Permit) -> tuple[UUID | None, str | None]:
    if new.scope in NAMED_SCOPES and new.target is not None:
        found = RESOLVERS[new.scope](cur, organization=new.organization, name=new.target, pointer="/target")
        _check_level(cur, new.organization, new.scope, found.id, permit)
        return found.id, None
    permit(policy_level(scope=new.scope, target_id=None, target_team_id=None))
    if new.scope == "organization":
        if new.target not in (None, str(new.organization)):
            raise NotFound("There is no such organization.", pointer="/target")
        return None, None
    return None, new.target


def _check_level(cur: Cursor, organization: UUID, scope: str, target_id: UUID | None, permit: Permit) -> None:
    team = None
    if scope == "agent" and target_id is not None:
        team = resolve_agent(cur, organization=organization, name=str(target_id)).team_id
    permit(policy_level(scope=scope, target_id=target_id, target_team_id=team))


def _event(
    locked: LockedOrganization, budget: UUID, version: int, verb: str, data: dict[str, Any], author: Author
) -> Event:
    return Event(
        locked.id, "budget", budget, version, f"budget.{verb}", data, locked.now, author.actor,
        idempotency_key=author.idempotency_key,
    )  # fmt: skip

"""The life of a plan: a draft, what is on sale, and what was; and the facts of it. Pure.

A plan is a key. What it sells is a version: its document never changes (S71). There is at most one draft, which the
next one replaces, and at most one version on sale, which the next published one replaces. Subscriptions keep the
version that they were made with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.rules.plans import PlanTerms, write_plan
from common.errors import InvalidTransition
from orgs.rules.facts import Fact, id_text, time_text, with_changes


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan's row. `latest`: the number of its newest version; `draft_id`, `published_id`: the version that is not
    published yet, and the one on sale."""

    id: UUID
    organization: UUID
    key: str
    name: str
    status: str
    latest: int
    draft_id: UUID | None
    published_id: UUID | None
    version: int
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A version's row: draft, published (on sale) or archived (no longer, or never, on sale)."""

    id: UUID
    organization: UUID
    plan_id: UUID
    plan_key: str
    number: int
    terms: PlanTerms
    status: str
    version: int
    created_at: datetime
    published_at: datetime | None = None
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan and one of its versions after a change, and the facts of it."""

    plan: Plan
    version: PlanVersion
    facts: tuple[Fact, ...] = ()


def plan_created(
    *, identifier: UUID, draft: UUID, organization: UUID, key: str, terms: PlanTerms, at: datetime
) -> Outcome:
    """Return a new plan with its first draft."""
    plan = Plan(identifier, organization, key, terms.name, "active", 1, draft, None, 1, at)
    version = _draft(plan, draft, terms, at)
    return Outcome(plan, version, (_plan_fact(plan, "created", _plan_data(plan)), _drafted(version)))


def version_drafted(
    plan: Plan, open_draft: PlanVersion | None, terms: PlanTerms, *, identifier: UUID, at: datetime
) -> Outcome:
    """Return the plan with a new draft; `open_draft`, which it replaces, is archived. Raises InvalidTransition for an
    archived plan."""
    _require_active(plan)
    name = plan.name if plan.published_id else terms.name
    changed = replace(plan, latest=plan.latest + 1, draft_id=identifier, name=name, version=plan.version + 1)
    version = _draft(changed, identifier, terms, at)
    replaced = () if open_draft is None else (_archived(open_draft, at),)
    return Outcome(changed, version, (*replaced, _drafted(version), _changed(plan, changed, "changed", at)))


def version_published(
    plan: Plan, version: PlanVersion, on_sale: PlanVersion | None, *, at: datetime
) -> Outcome:
    """Return the plan with this version on sale instead of `on_sale`; nothing happens when it is already.

    Raises InvalidTransition for an archived plan or version.
    """
    _require_active(plan)
    if version.status == "published":
        return Outcome(plan, version)
    if version.status == "archived":
        raise InvalidTransition("This version was replaced; make a new one.")
    published = replace(version, status="published", published_at=at, version=version.version + 1)
    changed = replace(
        plan, published_id=version.id, draft_id=None, name=version.terms.name, version=plan.version + 1
    )
    replaced = () if on_sale is None else (_archived(on_sale, at),)
    fact = _version_fact(
        published, "published", with_changes(_version_data(published), _version_data(version)), at
    )
    return Outcome(changed, published, (*replaced, fact, _changed(plan, changed, "changed", at)))


def plan_archived(plan: Plan, *, at: datetime) -> tuple[Plan, Fact | None]:
    """Return the plan as nobody can begin it any more; no fact when it is archived already. Who has it keeps it."""
    if plan.status == "archived":
        return plan, None
    ended = replace(plan, status="archived", archived_at=at, version=plan.version + 1)
    return ended, _changed(plan, ended, "archived", at)


def _require_active(plan: Plan) -> None:
    if plan.status != "active":
        raise InvalidTransition("The plan is archived.")


def _draft(plan: Plan, identifier: UUID, terms: PlanTerms, at: datetime) -> PlanVersion:
    return PlanVersion(identifier, plan.organization, plan.id, plan.key, plan.latest, terms, "draft", 1, at)


def _drafted(version: PlanVersion) -> Fact:
    return _version_fact(version, "drafted", _version_data(version), version.created_at)


def _archived(version: PlanVersion, at: datetime) -> Fact:
    ended = replace(version, status="archived", archived_at=at, version=version.version + 1)
    return _version_fact(ended, "archived", with_changes(_version_data(ended), _version_data(version)), at)


def _version_fact(version: PlanVersion, verb: str, data: dict[str, Any], at: datetime) -> Fact:
    return Fact(version.organization, "plan_version", version.id, version.version, verb, data, at)


def _plan_fact(plan: Plan, verb: str, data: dict[str, Any], at: datetime | None = None) -> Fact:
    return Fact(plan.organization, "plan", plan.id, plan.version, verb, data, at or plan.created_at)


def _changed(before: Plan, after: Plan, verb: str, at: datetime) -> Fact:
    return _plan_fact(after, verb, with_changes(_plan_data(after), _plan_data(before)), at)


def _plan_data(plan: Plan) -> dict[str, Any]:
    return {
        "key": plan.key,
        "name": plan.name,
        "status": plan.status,
        "latest": plan.latest,
        "draft_id": id_text(plan.draft_id),
        "published_id": id_text(plan.published_id),
        "created_at": time_text(plan.created_at),
        "archived_at": time_text(plan.archived_at),
    }


def _version_data(version: PlanVersion) -> dict[str, Any]:
    return {
        "plan_id": str(version.plan_id),
        "plan_key": version.plan_key,
        "number": version.number,
        "definition": write_plan(version.terms),
        "status": version.status,
        "created_at": time_text(version.created_at),
        "published_at": time_text(version.published_at),
        "archived_at": time_text(version.archived_at),
    }

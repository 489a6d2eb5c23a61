"""The objects of this app as answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.money import format_amount
from orgs.queries.api_keys import ApiKeyRow
from orgs.queries.members import MemberRow
from orgs.queries.organizations import OrganizationRow
from orgs.rules.rows import LockedOrganization, Subject
from orgs.rules.subjects import AGENT, CONNECTION


def show_organization(row: OrganizationRow | LockedOrganization) -> dict[str, Any]:
    """An organization; `credit_limit` is null without a limit."""
    return {
        "id": row.id,
        "name": row.name,
        "currency": row.currency,
        "time_zone": row.time_zone,
        "funding": row.funding,
        "credit_limit": None if row.credit_limit is None else format_amount(row.credit_limit),
        "status": row.status,
        "sandbox": row.sandbox,
        "created_at": _time(row.created_at),
    }


def show_clock(organization: UUID, now: datetime, ahead_seconds: int) -> dict[str, Any]:
    """What an organization's business clock shows."""
    return {"organization": organization, "now": now.astimezone(UTC), "ahead_seconds": ahead_seconds}


def show_subject(
    subject: Subject, *, team_keys: Mapping[UUID, str], listing_keys: Mapping[UUID, str]
) -> dict[str, Any]:
    """A team, agent, workflow or connection; an agent names its team and its listing by key and id."""
    shown: dict[str, Any] = {
        "id": subject.id,
        "organization": subject.organization,
        "key": subject.key,
        "name": subject.name,
    }
    if subject.kind == AGENT:
        shown["team"] = None if subject.team_id is None else team_keys.get(subject.team_id)
        shown["team_id"] = subject.team_id
        shown["listing"] = None if subject.listing is None else listing_keys.get(subject.listing)
        shown["listing_id"] = subject.listing
    if subject.kind == CONNECTION:
        shown["billing"] = subject.billing
    return shown | _life(subject.created_at, subject.archived_at)


def show_member(row: MemberRow) -> dict[str, Any]:
    """A member with the profile."""
    member = row.member
    return {
        "id": member.id,
        "organization": member.organization,
        "name": row.name,
        "email": row.email,
        "role": member.role,
        "team": row.team_key,
        "team_id": member.team_id,
        **_life(member.created_at, member.archived_at),
    }


def show_api_key(row: ApiKeyRow) -> dict[str, Any]:
    """An API key, never its secret or the secret's digest."""
    key = row.key
    return {
        "id": key.id,
        "organization": key.organization,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "member": key.member_id,
        "agents": None if key.agent_ids is None else list(key.agent_ids),
        "connections": None if key.connection_ids is None else list(key.connection_ids),
        "expires_at": _time(key.expires_at),
        "status": "active" if row.live else "revoked" if key.revoked_at is not None else "expired",
        "rotated_from": key.rotated_from,
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(row.last_used_at),
        "created_at": _time(key.created_at),
    }


def _life(created_at: datetime, archived_at: datetime | None) -> dict[str, Any]:
    return {
        "status": "active" if archived_at is None else "archived",
        "created_at": _time(created_at),
        "archived_at": _time(archived_at),
    }


def _time(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)

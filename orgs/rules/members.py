"""Members: a role each, and the facts of their lives. No personal data here: facts are never erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.errors import InvalidField, InvalidTransition
from orgs.rules.facts import Fact, id_text, time_text, with_changes
from orgs.rules.rows import Member
from orgs.rules.scopes import MEMBER, TEAM_OWNER


def created(member: Member) -> Fact:
    """The fact that makes a member. Raises InvalidField when role and team do not fit."""
    _refuse_misfit(member.role, member.team_id)
    return _fact(member, "created", _data(member), at=member.created_at)


def changed(member: Member, *, changes: Mapping[str, Any], at: datetime) -> Fact | None:
    """The fact of another role or team; None when nothing would be different.

    Raises InvalidTransition for an archived member and InvalidField.
    """
    if member.archived_at is not None:
        raise InvalidTransition("The member is archived.")
    new = replace(member, **changes)
    _refuse_misfit(new.role, new.team_id)
    return _next(member, new, "changed", at)


def archived(member: Member, *, at: datetime) -> Fact | None:
    """The fact of leaving: the member's keys stop at once; None when it is archived already."""
    if member.archived_at is not None:
        return None
    return _next(member, replace(member, archived_at=at), "archived", at)


def _refuse_misfit(role: str, team_id: UUID | None) -> None:
    if role == TEAM_OWNER and team_id is None:
        raise InvalidField("A team owner owns a team.", pointer="/team")
    if team_id is not None and role not in (TEAM_OWNER, MEMBER):
        raise InvalidField("Only a team_owner or a member belongs to a team.", pointer="/team")


def _next(old: Member, new: Member, verb: str, at: datetime) -> Fact | None:
    before, data = _data(old), _data(new)
    if before == data:
        return None
    return _fact(replace(new, version=old.version + 1), verb, with_changes(data, before), at=at)


def _fact(member: Member, verb: str, data: Mapping[str, Any], *, at: datetime) -> Fact:
    return Fact(member.organization, "member", member.id, member.version, verb, data, at)


def _data(member: Member) -> dict[str, Any]:
    return {
        "role": member.role,
        "team_id": id_text(member.team_id),
        "created_at": time_text(member.created_at),
        "archived_at": time_text(member.archived_at),
    }

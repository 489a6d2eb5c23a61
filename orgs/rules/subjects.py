"""Teams, agents, workflows and connections: what they may be, and the facts of their lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidTransition, NameConflict
from orgs.rules.facts import Fact, id_text, time_text, with_changes
from orgs.rules.names import folded
from orgs.rules.rows import Subject

TEAM: Final = "team"
AGENT: Final = "agent"
WORKFLOW: Final = "workflow"
CONNECTION: Final = "connection"
KINDS: Final = (TEAM, AGENT, WORKFLOW, CONNECTION)
BILLINGS: Final = ("resold", "own_key")


def created(subject: Subject, *, taken_key: bool, lookalike_name: bool) -> Fact:
    """The fact that makes a subject, when neither its key nor its name looks like another's.

    Raises NameConflict.
    """
    if "/" in subject.key:
        raise InvalidField("A key here has no slash: it stands in addresses.", pointer="/key")
    if taken_key:
        raise NameConflict("The key is taken, or looks like one that is taken.", pointer="/key")
    _refuse_lookalike(lookalike_name)
    return _fact(subject, "created", _data(subject), at=subject.created_at)


def changed(
    subject: Subject, *, changes: Mapping[str, Any], lookalike_name: bool, at: datetime
) -> Fact | None:
    """The fact of new values; None when nothing would be different.

    Raises InvalidTransition for an archived one and NameConflict.
    """
    if subject.archived_at is not None:
        raise InvalidTransition(f"The {subject.kind} is archived.")
    _refuse_lookalike(lookalike_name and "name" in changes)
    return _next(subject, replace(subject, **changes), "changed", at)


def archived(subject: Subject, *, at: datetime) -> Fact | None:
    """The fact of archiving: no new calls, kept in history; None when it is archived already."""
    if subject.archived_at is not None:
        return None
    return _next(subject, replace(subject, archived_at=at), "archived", at)


def require_usable_team(team: Subject, *, pointer: str = "/team") -> UUID:
    """The id of a team that agents and members may join. Raises InvalidTransition for an archived one."""
    if team.archived_at is not None:
        raise InvalidTransition("The team is archived.", pointer=pointer)
    return team.id


def _refuse_lookalike(found: bool) -> None:
    if found:
        raise NameConflict("The name looks like another one in this organization.", pointer="/name")


def _next(old: Subject, new: Subject, verb: str, at: datetime) -> Fact | None:
    before, data = _data(old), _data(new)
    if before == data:
        return None
    return _fact(replace(new, version=old.version + 1), verb, with_changes(data, before), at=at)


def _fact(subject: Subject, verb: str, data: Mapping[str, Any], *, at: datetime) -> Fact:
    return Fact(subject.organization, subject.kind, subject.id, subject.version, verb, data, at)


def _data(subject: Subject) -> dict[str, Any]:
    data: dict[str, Any] = {
        "key": subject.key,
        "name": subject.name,
        "key_folded": folded(subject.key),
        "name_folded": folded(subject.name),
        "created_at": time_text(subject.created_at),
        "archived_at": time_text(subject.archived_at),
    }
    if subject.kind == AGENT:
        data |= {"team_id": id_text(subject.team_id), "listing": id_text(subject.listing)}
    if subject.kind == CONNECTION:
        data["billing"] = subject.billing
    return data

"""What an organization may be, and the facts of its life."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import Forbidden, InvalidField, InvalidTransition, ProblemError
from orgs.rules.facts import Fact, time_text, with_changes
from orgs.rules.rows import LockedOrganization

FUNDINGS: Final = ("prepaid", "postpaid")


class OrganizationClosed(ProblemError):
    """The organization is closed."""

    code = "organization_closed"
    status = 403


def credit_limit_of(*, funding: str, credit_limit: int | None) -> int | None:
    """The limit as stored, in units: 0 for prepaid, None for postpaid without one. Raises InvalidField."""
    if funding == "postpaid":
        return credit_limit
    if credit_limit:
        raise InvalidField("A prepaid organization has no credit limit.", pointer="/credit_limit")
    return 0


def created(
    *,
    organization: UUID,
    name: str,
    currency: str,
    time_zone: str,
    funding: str,
    credit_limit: int | None,
    at: datetime,
    sandbox: bool = False,
) -> Fact:
    """The fact that makes an organization: version 1 of its stream. Raises InvalidField."""
    row = LockedOrganization(
        id=organization,
        name=name,
        currency=currency,
        time_zone=time_zone,
        funding=funding,
        credit_limit=credit_limit_of(funding=funding, credit_limit=credit_limit),
        status="active",
        is_platform=False,
        sandbox=sandbox,
        config_epoch=1,
        version=1,
        created_at=at,
        now=at,
    )
    return Fact(organization, "organization", organization, 1, "created", _data(row), at)


def changed(organization: LockedOrganization, *, changes: dict[str, Any]) -> Fact | None:
    """The fact of a new name, time zone or credit limit; None when nothing would be different.

    Raises OrganizationClosed, InvalidField (a credit limit of a prepaid organization).
    """
    require_open(organization)
    if "credit_limit" in changes:
        limit = credit_limit_of(funding=organization.funding, credit_limit=changes["credit_limit"])
        changes = {**changes, "credit_limit": limit}
    return _next(organization, replace(organization, **changes), "changed")


def closed(
    organization: LockedOrganization,
) -> Fact | None:
    """The fact of closing; None when it is closed already. Raises Forbidden for the platform itself."""
    if organization.is_platform:
        raise Forbidden("The platform itself cannot be closed.")
    return _next(organization, replace(organization, status="closed"), "closed")


def require_open(organization: LockedOrganization) -> None:
    """Refuse changes inside a closed organization. Raises OrganizationClosed."""
    if organization.status != "active":
        raise OrganizationClosed


def require_customer(organization: LockedOrganization) -> None:
    """Refuse what only customers have: the platform runs no agents. Raises InvalidTransition."""
    if organization.is_platform:
        raise InvalidTransition("The platform's own organization has no teams, agents or members.")
    require_open(organization)


def _next(old: LockedOrganization, new: LockedOrganization, verb: str) -> Fact | None:
    before, data = _data(old), _data(new)
    if before == data:
        return None
    said = with_changes(data, before)
    return Fact(old.id, "organization", old.id, old.version + 1, verb, said, old.now)


def _data(row: LockedOrganization) -> dict[str, Any]:
    return {
        "name": row.name,
        "currency": row.currency,
        "time_zone": row.time_zone,
        "funding": row.funding,
        "credit_limit": row.credit_limit,
        "status": row.status,
        "is_platform": row.is_platform,
        "sandbox": row.sandbox,
        "created_at": time_text(row.created_at),
    }

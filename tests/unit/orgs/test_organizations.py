"""Organizations and subjects as pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.errors import Forbidden, InvalidField, InvalidTransition, NameConflict
from common.ids import new_id
from orgs import PLATFORM_ID
from orgs.rules import members, organizations, subjects
from orgs.rules.organizations import OrganizationClosed
from orgs.rules.rows import LockedOrganization, Member, Subject

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def organization(**given: Any) -> LockedOrganization:
    whole = LockedOrganization(
        id=new_id(),
        name="Acme",
        currency="USD",
        time_zone="UTC",
        funding="prepaid",
        credit_limit=0,
        status="active",
        is_platform=False,
        sandbox=False,
        config_epoch=7,
        version=4,
        created_at=NOW,
        now=NOW,
    )
    return replace(whole, **given)


def subject(**given: Any) -> Subject:
    return replace(Subject("agent", new_id(), new_id(), "bot", "Bot", 2, NOW), **given)


class TestTheCreditLimit:
    @pytest.mark.parametrize(
        ("funding", "given", "stored"),
        [
            ("prepaid", None, 0),
            ("prepaid", 0, 0),
            ("postpaid", None, None),
            ("postpaid", 0, 0),
            ("postpaid", 5, 5),
        ],
    )
    def test_is_zero_for_prepaid_and_may_be_absent_for_postpaid(
        self, funding: str, given: int | None, stored: int | None
    ) -> None:
        assert organizations.credit_limit_of(funding=funding, credit_limit=given) == stored

    def test_of_a_prepaid_organization_is_refused(self) -> None:
        with pytest.raises(InvalidField):
            organizations.credit_limit_of(funding="prepaid", credit_limit=1)


class TestChangingAnOrganization:
    def test_says_what_changed_from_what_to_what(self) -> None:
        fact = organizations.changed(organization(), changes={"name": "Beta", "time_zone": "UTC"})
        assert fact is not None
        assert (fact.version, fact.verb) == (5, "changed")
        assert fact.data["changed"] == {"name": ["Acme", "Beta"]}

    def test_to_the_same_is_no_fact(self) -> None:
        assert organizations.changed(organization(), changes={"name": "Acme"}) is None

    def test_that_is_closed_is_refused(self) -> None:
        with pytest.raises(OrganizationClosed):
            organizations.changed(organization(status="closed"), changes={"name": "B"})

    def test_closes_once_and_never_the_platform(self) -> None:
        fact = organizations.closed(organization())
        assert fact is not None
        assert fact.data["changed"] == {"status": ["active", "closed"]}
        assert organizations.closed(organization(status="closed")) is None
        with pytest.raises(Forbidden):
            organizations.closed(organization(id=PLATFORM_ID, is_platform=True))


class TestSubjects:
    def test_with_a_taken_key_or_a_lookalike_name_are_refused(self) -> None:
        with pytest.raises(NameConflict) as refused:
            subjects.created(subject(), taken_key=True, lookalike_name=True)
        assert refused.value.errors[0].pointer == "/key"
        with pytest.raises(NameConflict) as refused:
            subjects.created(subject(), taken_key=False, lookalike_name=True)
        assert refused.value.errors[0].pointer == "/name"

    def test_say_only_what_their_kind_has(self) -> None:
        common = {"key", "name", "key_folded", "name_folded", "created_at", "archived_at"}
        expected = {
            "team": common,
            "workflow": common,
            "agent": common | {"team_id", "listing"},
            "connection": common | {"billing"},
        }
        for kind, names in expected.items():
            fact = subjects.created(subject(kind=kind), taken_key=False, lookalike_name=False)
            assert set(fact.data) == names

    def test_that_are_archived_do_not_change_any_more(self) -> None:
        gone = subject(archived_at=NOW)
        assert subjects.archived(gone, at=NOW) is None
        with pytest.raises(InvalidTransition):
            subjects.changed(gone, changes={"name": "B"}, lookalike_name=False, at=NOW)

    def test_keep_a_lookalike_name_that_is_not_changed(self) -> None:
        fact = subjects.changed(subject(), changes={"team_id": new_id()}, lookalike_name=True, at=NOW)
        assert fact is not None
        assert set(fact.data["changed"]) == {"team_id"}
        assert fact.version == 3


class TestMembers:
    @pytest.mark.parametrize(
        ("role", "has_team", "fits"),
        [
            ("owner", False, True),
            ("owner", True, False),
            ("billing_admin", False, True),
            ("billing_admin", True, False),
            ("team_owner", False, False),
            ("team_owner", True, True),
            ("member", False, True),
            ("member", True, True),
        ],
    )
    def test_have_a_team_as_their_role_says(self, role: str, has_team: bool, fits: bool) -> None:
        member = Member(new_id(), new_id(), role, new_id() if has_team else None, 1, NOW)
        if fits:
            assert members.created(member).data["role"] == role
        else:
            with pytest.raises(InvalidField):
                members.created(member)

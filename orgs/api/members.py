"""/v1/members: people and their roles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.api.representations import show_member
from orgs.api.serializers import MemberChangeSerializer, MemberSerializer, ShownMemberSerializer
from orgs.operations.archive import archive_member
from orgs.operations.create import create_member
from orgs.operations.update import update_member
from orgs.queries.members import find_member, list_members, member_organization
from orgs.rules.permissions import require_setup
from orgs.rules.scopes import ADMIN


class MemberView(OrgsView):
    """Members are seen and managed by whoever sets up the organization."""

    required_scope = ADMIN

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse roles that do not set up the organization."""
        super().initial(request, *args, **kwargs)
        require_setup(self.caller)

    def owner(self, name: str) -> UUID:
        """The organization of the member that the path names."""
        return self.for_object(name, lambda cur, identifier: member_organization(cur, identifier=identifier))


class MemberListView(MemberView):
    """All members, and new ones."""

    query_parameters = ("archived",)
    paged = True

    @extend_schema(responses=ShownMemberSerializer, tags=["members"])
    def get(self, request: Request) -> HttpResponse:
        """The organization's members, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_members(
                cur, organization=organization, before=before, limit=page.fetch, archived=archived
            )
            return envelope(rows, page=page, position=lambda row: (str(row.member.id),), show=show_member)

        return json_response(run_in_transaction(read))

    @extend_schema(request=MemberSerializer, responses={201: ShownMemberSerializer}, tags=["members"])
    def post(self, request: Request) -> HttpResponse:
        """Make a member."""
        values = checked(MemberSerializer, request)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            member = create_member(
                cur,
                organization=organization,
                role=values["role"],
                team=values.get("team"),
                name=values["name"],
                email=values.get("email") or "",
                author=self.author,
            )
            return _shown(cur, organization, member.id)

        return self.idempotent(request, operation)


class MemberDetailView(MemberView):
    """One member, by id."""

    @extend_schema(responses=ShownMemberSerializer, tags=["members"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """The member, also when archived."""
        organization = self.owner(name)

        def read(cur: Cursor) -> dict[str, Any]:
            return _shown(cur, organization, find_member(cur, organization=organization, name=name).id)

        return json_response(run_in_transaction(read))

    @extend_schema(request=MemberChangeSerializer, responses=ShownMemberSerializer, tags=["members"])
    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change what is given; the member's keys have a new role at their next use."""
        changes = checked(MemberChangeSerializer, request, partial=True)
        organization = self.owner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            identifier = update_member(
                cur, organization=organization, name=name, changes=changes, author=self.author
            )
            return _shown(cur, organization, identifier)

        return self.idempotent(request, operation, status=200)


class MemberArchiveView(MemberView):
    """A member leaves."""

    bodiless = ("POST",)

    @extend_schema(request=None, responses=ShownMemberSerializer, tags=["members"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Archive the member, whose keys stop at once."""
        refuse_fields(request)
        organization = self.owner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            identifier = archive_member(cur, organization=organization, name=name, author=self.author)
            return _shown(cur, organization, identifier)

        return self.idempotent(request, operation, status=200)


def _shown(cur: Cursor, organization: UUID, identifier: UUID) -> dict[str, Any]:
    return show_member(list_members(cur, organization=organization, only=identifier)[0])

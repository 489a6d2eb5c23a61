"""/v1/teams, /v1/agents, /v1/workflows and /v1/connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.api.representations import show_subject
from orgs.api.serializers import (
    AgentChangeSerializer,
    AgentSerializer,
    ConnectionChangeSerializer,
    ConnectionSerializer,
    ShownAgentSerializer,
    SubjectChangeSerializer,
    SubjectSerializer,
    TeamChangeSerializer,
    TeamSerializer,
    WorkflowChangeSerializer,
    WorkflowSerializer,
)
from orgs.operations import create
from orgs.operations.archive import archive_subject
from orgs.operations.create import NewSubject
from orgs.operations.listings import listing_keys
from orgs.operations.update import update_subject
from orgs.queries import subjects as queries
from orgs.rules.permissions import require_agent_setup, require_setup
from orgs.rules.rows import Subject
from orgs.rules.scopes import ADMIN, SPEND_READ
from orgs.rules.subjects import AGENT, CONNECTION, TEAM, WORKFLOW

Permit = Callable[[set[UUID | None]], None]


class SubjectView(OrgsView):
    """What the views of all four kinds share."""

    narrows = True
    kind: ClassVar[str]
    serializer: ClassVar[type[SubjectSerializer]]
    change_serializer: ClassVar[type[SubjectChangeSerializer]]

    def permit(self) -> Permit | None:
        """Refuse whoever may not set up this kind; for agents the operation checks, which knows the teams."""
        if self.kind == AGENT:
            return partial(require_agent_setup, self.caller)
        require_setup(self.caller)
        return None

    def owner(self, name: str) -> UUID:
        """The organization of the object that the path names."""
        return self.for_object(name, lambda cur, identifier: _owner(cur, self.kind, identifier))

    def shown(self, cur: Cursor, organization: UUID, identifier: UUID) -> dict[str, Any]:
        """The object as it now is."""
        subject = queries.find_subject(cur, self.kind, organization=organization, name=str(identifier))
        return show_all(cur, organization, [subject])[0]


class SubjectListView(SubjectView):
    """All of one kind, and new ones."""

    required_scope = {"GET": SPEND_READ, "POST": ADMIN}
    query_parameters = ("archived", "team")
    paged = True

    def parameters_for(self, method: str) -> frozenset[str]:
        """The filter by team is for agents."""
        names = super().parameters_for(method)
        return names if self.kind == AGENT else names - {"team"}

    def get(self, request: Request) -> HttpResponse:
        """The organization's objects, newest first; of a limited key's kind only those that it is for."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")
        team = self.query.text("team") if self.kind == AGENT else None

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_subjects(
                cur,
                self.kind,
                organization=organization,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
                archived=archived,
                team_id=_team_id(cur, organization, team),
                only=self.caller.limits.ids(self.kind),
            )
            shown = dict(zip([row.id for row in rows], show_all(cur, organization, rows), strict=True))
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make one. The key is unique in the organization for ever, also among archived ones."""
        permit = self.permit()
        values = checked(self.serializer, request)
        organization = self.for_new(values)
        new = NewSubject(organization, values["key"], values["name"])

        def operation(cur: Cursor) -> dict[str, Any]:
            subject = self.create(cur, new, values, permit)
            return show_all(cur, organization, [subject])[0]

        return self.idempotent(request, operation)

    def create(
        self, cur: Cursor, new: NewSubject, values: Mapping[str, Any], permit: Permit | None
    ) -> Subject:
        """The operation that makes this kind."""
        if self.kind == AGENT:
            return create.create_agent(
                cur,
                new,
                team=values.get("team"),
                listing=values.get("listing"),
                author=self.author,
                permit=permit,
            )
        if self.kind == CONNECTION:
            return create.create_connection(cur, new, billing=values["billing"], author=self.author)
        make = create.create_team if self.kind == TEAM else create.create_workflow
        return make(cur, new, author=self.author)


class SubjectDetailView(SubjectView):
    """One object, by key or id."""

    required_scope = {"GET": SPEND_READ, "PATCH": ADMIN}

    def get(self, request: Request, name: str) -> HttpResponse:
        """The object, also when it is archived."""
        organization = self.owner(name)

        def read(cur: Cursor) -> dict[str, Any]:
            subject = queries.find_subject(cur, self.kind, organization=organization, name=name)
            if self.caller.limits.leave_out(self.kind, subject.id):
                raise NotFound(f"There is no such {self.kind}.")
            return show_all(cur, organization, [subject])[0]

        return json_response(run_in_transaction(read))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change what is given. The gate sees it at its next decision."""
        permit = self.permit()
        changes = checked(self.change_serializer, request, partial=True)
        organization = self.owner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            identifier = update_subject(
                cur,
                self.kind,
                organization=organization,
                name=name,
                changes=changes,
                author=self.author,
                permit=permit,
            )
            return self.shown(cur, organization, identifier)

        return self.idempotent(request, operation, status=200)


class SubjectArchiveView(SubjectView):
    """No new use; history stays."""

    required_scope = ADMIN
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Archive it. Archiving an archived one changes nothing."""
        permit = self.permit()
        refuse_fields(request)
        organization = self.owner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            identifier = archive_subject(
                cur, self.kind, organization=organization, name=name, author=self.author, permit=permit
            )
            return self.shown(cur, organization, identifier)

        return self.idempotent(request, operation, status=200)


def show_all(cur: Cursor, organization: UUID, subjects: Iterable[Subject]) -> list[dict[str, Any]]:
    """Subjects as answers show them, with the keys of their teams and listings."""
    listed = list(subjects)
    wanted = {subject.team_id for subject in listed if subject.team_id is not None}
    keys = queries.keys_of(cur, TEAM, organization=organization, ids=wanted) if wanted else {}
    listings = listing_keys(cur, {subject.listing for subject in listed if subject.listing is not None})
    return [show_subject(subject, team_keys=keys, listing_keys=listings) for subject in listed]


def _owner(cur: Cursor, kind: str, identifier: UUID) -> UUID:
    return queries.organization_of(cur, kind, identifier=identifier)


def _team_id(cur: Cursor, organization: UUID, team: str | None) -> UUID | None:
    return None if team is None else queries.resolve_team(cur, organization=organization, name=team).id


_DocumentedView = TypeVar("_DocumentedView", bound=type[SubjectView])


def _documented(view: _DocumentedView) -> _DocumentedView:
    """Describe the methods that a kind's view inherits."""
    shown = ShownAgentSerializer if view.kind == AGENT else view.serializer
    tags = [f"{view.kind}s"]
    taken = None if issubclass(view, SubjectArchiveView) else view.serializer
    status = 200 if issubclass(view, SubjectArchiveView) else 201
    described = {
        "get": extend_schema(responses=shown, tags=tags),
        "post": extend_schema(request=taken, responses={status: shown}, tags=tags),
        "patch": extend_schema(request=view.change_serializer, responses=shown, tags=tags),
    }
    return extend_schema_view(**{name: how for name, how in described.items() if hasattr(view, name)})(view)


class Teams(SubjectView):
    """The kind team."""

    kind = TEAM
    serializer = TeamSerializer
    change_serializer = TeamChangeSerializer


class Agents(SubjectView):
    """The kind agent."""

    kind = AGENT
    serializer = AgentSerializer
    change_serializer = AgentChangeSerializer


class Workflows(SubjectView):
    """The kind workflow."""

    kind = WORKFLOW
    serializer = WorkflowSerializer
    change_serializer = WorkflowChangeSerializer


class Connections(SubjectView):
    """The kind connection."""

    kind = CONNECTION
    serializer = ConnectionSerializer
    change_serializer = ConnectionChangeSerializer


@_documented
class TeamListView(Teams, SubjectListView):
    """GET and POST /v1/teams."""


@_documented
class TeamDetailView(Teams, SubjectDetailView):
    """GET and PATCH /v1/teams/{id}."""


@_documented
class TeamArchiveView(Teams, SubjectArchiveView):
    """POST /v1/teams/{id}/archive."""


@_documented
class AgentListView(Agents, SubjectListView):
    """GET and POST /v1/agents."""


@_documented
class AgentDetailView(Agents, SubjectDetailView):
    """GET and PATCH /v1/agents/{id}."""


@_documented
class AgentArchiveView(Agents, SubjectArchiveView):
    """POST /v1/agents/{id}/archive."""


@_documented
class WorkflowListView(Workflows, SubjectListView):
    """GET and POST /v1/workflows."""


@_documented
class WorkflowDetailView(Workflows, SubjectDetailView):
    """GET and PATCH /v1/workflows/{id}."""


@_documented
class WorkflowArchiveView(Workflows, SubjectArchiveView):
    """POST /v1/workflows/{id}/archive."""


@_documented
class ConnectionListView(Connections, SubjectListView):
    """GET and POST /v1/connections."""


@_documented
class ConnectionDetailView(Connections, SubjectDetailView):
    """GET and PATCH /v1/connections/{id}."""


@_documented
class ConnectionArchiveView(Connections, SubjectArchiveView):
    """POST /v1/connections/{id}/archive."""

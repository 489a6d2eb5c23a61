"""/v1/organizations: reading, changing, closing. The ledger makes them, because it opens their accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import InvalidField, NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.api.representations import show_clock, show_organization
from orgs.api.serializers import (
    ClockAdvanceSerializer,
    ClockSerializer,
    OrganizationChangeSerializer,
    OrganizationSerializer,
)
from orgs.operations.clock import advance_clock, advance_clock_to
from orgs.operations.organizations import close_organization, update_organization
from orgs.queries.organizations import clock_of, find_organization, list_organizations
from orgs.rules.permissions import require_platform, require_setup
from orgs.rules.scopes import ADMIN, PLATFORM


class OrganizationView(OrgsView):
    """Views below an organization's address: for others than the platform only the own one is there."""

    narrows = True  # what an organization is called and settles in is for all of its keys

    def parameters_for(self, method: str) -> frozenset[str]:
        """The organization stands in the path."""
        return super().parameters_for(method) - {"organization"}

    def in_path(self, name: str) -> UUID:
        """The organization in the path. Raises NotFound for everything but the own one (S109)."""
        organization = self.own_or_named(path_id(name))
        if organization is None:
            raise NotFound
        return organization


class OrganizationReads(OrganizationView):
    """GET of /v1/organizations, for the view that also has its POST."""

    paged = True

    @extend_schema(responses=OrganizationSerializer, tags=["organizations"])
    def get(self, request: Request) -> HttpResponse:
        """The platform sees all organizations, newest first; everybody else the own one."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        only = None if self.caller.has_scope(PLATFORM) else self.caller.organization

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_organizations(cur, only=only, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_organization)

        return json_response(run_in_transaction(read))


class OrganizationDetailView(OrganizationView):
    """One organization, by id."""

    required_scope = {"PATCH": ADMIN}

    @extend_schema(responses=OrganizationSerializer, tags=["organizations"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """The organization."""
        organization = self.in_path(name)
        return json_response(run_in_transaction(lambda cur: _shown(cur, organization)))

    @extend_schema(
        request=OrganizationChangeSerializer, responses=OrganizationSerializer, tags=["organizations"]
    )
    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change what is given. Currency and funding stay; the credit limit is the platform's to set."""
        require_setup(self.caller)
        organization = self.in_path(name)
        changes = checked(OrganizationChangeSerializer, request, partial=True)
        if "credit_limit" in changes:
            require_platform(self.caller)

        def operation(cur: Cursor) -> dict[str, Any]:
            update_organization(cur, organization=organization, changes=changes, author=self.author)
            return _shown(cur, organization)

        return self.idempotent(request, operation, status=200)


class OrganizationArchiveView(OrganizationView):
    """An organization is closed."""

    required_scope = PLATFORM
    bodiless = ("POST",)

    @extend_schema(request=None, responses=OrganizationSerializer, tags=["organizations"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Close it: the gate refuses its calls from its next decision on; open reservations may settle."""
        refuse_fields(request)
        organization = self.in_path(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            close_organization(cur, organization=organization, author=self.author)
            return _shown(cur, organization)

        return self.idempotent(request, operation, status=200)


class OrganizationClockView(OrganizationView):
    """GET /v1/organizations/{id}/clock."""

    @extend_schema(responses=ClockSerializer, tags=["organizations"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """What its business clock shows; only a sandbox's differs from the wall clock."""
        organization = self.in_path(name)
        return json_response(run_in_transaction(lambda cur: _clock(cur, organization)))


class OrganizationClockAdvanceView(OrganizationView):
    """POST /v1/organizations/{id}/clock/advance."""

    required_scope = PLATFORM

    @extend_schema(request=ClockAdvanceSerializer, responses={200: ClockSerializer}, tags=["organizations"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Move a sandbox organization's clock forward, `to` a moment or by `seconds`. What falls due by it is done as
        always, soon after; `POST /v1/simulations` does it on the way, each at its own moment."""
        organization = self.in_path(name)
        values = checked(ClockAdvanceSerializer, request)
        if len(values) != 1:
            raise InvalidField("Either to or seconds is given.", pointer="/to")

        def operation(cur: Cursor) -> dict[str, Any]:
            if "to" in values:
                advance_clock_to(cur, organization=organization, to=values["to"], author=self.author)
            else:
                by = timedelta(seconds=values["seconds"])
                advance_clock(cur, organization=organization, by=by, author=self.author)
            return _clock(cur, organization)

        return self.idempotent(request, operation, status=200)


def _clock(cur: Cursor, organization: UUID) -> dict[str, Any]:
    return show_clock(organization, *clock_of(cur, organization=organization))


def _shown(cur: Cursor, organization: UUID) -> dict[str, Any]:
    return show_organization(find_organization(cur, organization=organization))

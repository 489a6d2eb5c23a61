"""POST /v1/organizations: an organization is made together with its books."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from events.store import Cursor
from ledger.api.serializers import NewOrganizationSerializer
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.api.acting import checked
from orgs.api.organizations import OrganizationReads
from orgs.api.representations import show_organization
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import PLATFORM


class OrganizationListView(OrganizationReads):
    """All organizations, and new ones."""

    required_scope = {"POST": PLATFORM}

    @extend_schema(
        request=NewOrganizationSerializer, responses={201: NewOrganizationSerializer}, tags=["organizations"]
    )
    def post(self, request: Request) -> HttpResponse:
        """Make an organization with its chart of accounts (platform only)."""
        values = checked(NewOrganizationSerializer, request)

        def operation(cur: Cursor) -> dict[str, Any]:
            made = create_organization(cur, NewOrganization(**values), author=self.author)
            return show_organization(find_organization(cur, organization=made))

        return self.idempotent(request, operation)

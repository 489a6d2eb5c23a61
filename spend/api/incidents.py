"""/v1/incidents: what the rules did, and who dealt with it (S59)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.paging import envelope
from common.api.views import path_id
from events.store import Cursor
from orgs.api.acting import checked
from spend.api.reading import ReadView, after
from spend.api.switch_representations import incident_shown, incidents_shown
from spend.api.switch_serializers import IncidentSerializer, ReleaseReasonSerializer
from spend.api.switches import StoppingView
from spend.operations.switches.lifting import release_incident
from spend.queries import incidents as queries
from spend.queries.incidents import IncidentFilter
from spend.queries.naming import named_run, subject_id
from spend.rules.incidents import MODES, TRIGGERS


@extend_schema_view(get=extend_schema(responses=IncidentSerializer(many=True), tags=["incidents"]))
class IncidentListView(ReadView):
    """GET /v1/incidents."""

    query_parameters = ("open", "trigger", "agent", "run", "mode")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's incidents, newest first; `open=true`: those that nobody has released."""
        organization, page = self.for_list(), self.page()
        is_open, mode = self.query.flag("open"), self.query.choice("mode", options=MODES)
        trigger = self.query.choice("trigger", options=TRIGGERS)
        agent, run = self.query.text("agent"), self.query.text("run", max_length=200)

        def read(cur: Cursor) -> dict[str, Any]:
            named = named_run(cur, organization, run)
            wanted = IncidentFilter(
                is_open, trigger, mode, subject_id(cur, "agent", organization, agent), named and named.key
            )
            rows = queries.list_incidents(
                cur, organization=organization, wanted=wanted, before=after(page), limit=page.fetch
            )
            shown = incidents_shown(cur, organization, rows)
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=IncidentSerializer, tags=["incidents"]))
class IncidentDetailView(ReadView):
    """GET /v1/incidents/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One incident with its evidence, what was spent, what was done, and who released it."""
        incident = path_id(name)
        organization = self.for_object(name, queries.organization_of_incident)
        return self.answer(
            lambda cur: incident_shown(
                cur, queries.find_incident(cur, organization=organization, incident=incident)
            )
        )


@extend_schema_view(
    post=extend_schema(
        request=ReleaseReasonSerializer, responses={200: IncidentSerializer}, tags=["incidents"]
    )
)
class IncidentReleaseView(StoppingView):
    """POST /v1/incidents/{id}/release."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Say that somebody dealt with it. What it paused goes on; a run that it stopped does not."""
        incident = path_id(name)
        reason = checked(ReleaseReasonSerializer, request)["reason"]
        organization = self.for_object(name, queries.organization_of_incident)

        def operation(cur: Cursor) -> dict[str, Any]:
            released = release_incident(
                cur, organization, incident, reason=reason, author=self.author, permit=self.permit
            )
            return incident_shown(cur, released)

        return self.idempotent(request, operation, status=200)

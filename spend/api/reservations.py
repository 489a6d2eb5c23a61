"""GET /v1/reservations and /v1/reservations/{id}; the gate's own entry answers POST."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.views import path_id
from events.store import Cursor
from spend.api.read_serializers import ReservationSerializer
from spend.api.reading import ReadView, after
from spend.api.representations import show_reservation
from spend.queries import reservations as queries
from spend.queries.budgets import business_now
from spend.queries.naming import named_run, subject_id
from spend.queries.reservations import STATUSES, ReservationFilter


@extend_schema_view(get=extend_schema(responses=ReservationSerializer(many=True), tags=["reservations"]))
class ReservationListView(ReadView):
    """GET /v1/reservations."""

    query_parameters = ("status", "run", "agent")
    narrows = True
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's reservations, newest first, with the live figures of their budgets."""
        organization, page = self.for_list(), self.page()
        status = self.query.choice("status", options=STATUSES)
        run, agent = self.query.text("run", max_length=200), self.query.text("agent")

        def read(cur: Cursor) -> dict[str, Any]:
            found = named_run(cur, organization, run)
            wanted = ReservationFilter(
                status,
                found.id if found else None,
                subject_id(cur, "agent", organization, agent, self.caller.limits),
                self.caller.limits,
            )
            rows: list[Any] = []
            if found is None or found.id is not None:
                rows = queries.list_reservations(
                    cur, organization=organization, wanted=wanted, before=after(page), limit=page.fetch
                )
            now = business_now(cur, organization)
            layers = queries.live_layers(
                cur,
                organization=organization,
                counters=[name for row in rows for name in row["counters"]],
                now=now,
            )
            return self.answer_rows(rows, page, lambda row: show_reservation(row, layers=layers, now=now))

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=ReservationSerializer, tags=["reservations"]))
class ReservationDetailView(ReadView):
    """GET /v1/reservations/{id}."""

    narrows = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The reservation, what it holds where, and how it ended."""
        reservation = path_id(name)
        organization = self.for_object(name, queries.organization_of_reservation)

        def read(cur: Cursor) -> dict[str, Any]:
            row = queries.find_reservation(
                cur, organization=organization, reservation=reservation, limits=self.caller.limits
            )
            now = business_now(cur, organization)
            layers = queries.live_layers(cur, organization=organization, counters=row["counters"], now=now)
            return show_reservation(row, layers=layers, now=now)

        return self.answer(read)

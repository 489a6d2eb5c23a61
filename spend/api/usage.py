"""GET /v1/usage and /v1/usage/{id}; the gate's own entry answers POST."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.views import path_id
from events.store import Cursor
from spend.api.read_serializers import UsageRecordSerializer
from spend.api.reading import ReadView, after
from spend.api.representations import show_usage
from spend.queries import usage as queries
from spend.queries.naming import named_run, subject_id
from spend.queries.usage import OUTCOMES, UsageFilter

_SUBJECTS = ("agent", "team", "workflow", "connection")
_TEXTS = ("user", "provider", "model", "tool")


@extend_schema_view(get=extend_schema(responses=UsageRecordSerializer(many=True), tags=["usage"]))
class UsageListView(ReadView):
    """GET /v1/usage."""

    query_parameters = ("outcome", "run", "reservation", "from", "to", *_SUBJECTS, *_TEXTS)
    paged = True
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """Usage records and denied calls, newest first. `from` and `to` are times of occurrence."""
        organization, page = self.for_list(), self.page()
        outcome = self.query.choice("outcome", options=OUTCOMES)
        run = self.query.text("run", max_length=200)
        reservation = self.query.uuid("reservation")
        names = {kind: self.query.text(kind) for kind in _SUBJECTS}
        texts: dict[str, Any] = {name: self.query.text(name, max_length=200) for name in _TEXTS}
        start, end = self.period()

        def read(cur: Cursor) -> dict[str, Any]:
            ids: dict[str, Any] = {
                f"{kind}_id": subject_id(cur, kind, organization, name, self.caller.limits)
                for kind, name in names.items()
            }
            wanted = UsageFilter(
                outcome=outcome,
                run=named_run(cur, organization, run),
                reservation=reservation,
                start=start,
                end=end,
                limits=self.caller.limits,
                **ids,
                **texts,
            )
            rows: list[Any] = queries.list_usage(
                cur, organization=organization, wanted=wanted, before=after(page), limit=page.fetch
            )
            return self.answer_rows(rows, page, show_usage)

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=UsageRecordSerializer, tags=["usage"]))
class UsageDetailView(ReadView):
    """GET /v1/usage/{id}."""

    narrows = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The usage record with its components and what paid for it."""
        record = path_id(name)
        organization = self.for_object(name, queries.organization_of_usage)
        limits = self.caller.limits
        return self.answer(
            lambda cur: show_usage(
                queries.find_usage(cur, organization=organization, record=record, limits=limits)
            )
        )

"""/v1/runs: live totals of runs and their cost trees (S18, S24)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.paging import envelope
from events.store import Cursor
from orgs.queries.organizations import find_organization
from spend.api.pace import show_rate
from spend.api.read_serializers import RunTreeSerializer
from spend.api.reading import ReadView, after
from spend.api.representations import show_run, show_run_tree, utc
from spend.api.serializers import RunSerializer
from spend.api.switch_representations import switch_shown
from spend.queries import runs as queries
from spend.queries.naming import subject_id
from spend.queries.pace import how_far, rate_of_run
from spend.queries.runs import RunFilter
from spend.queries.switches import switches_over_run


@extend_schema_view(get=extend_schema(responses=RunSerializer(many=True), tags=["runs"]))
class RunListView(ReadView):
    """GET /v1/runs."""

    query_parameters = ("key", "agent", "root")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's runs with their own totals, newest first; `root`: only roots, or only child runs."""
        organization, page = self.for_list(), self.page()
        agent = self.query.text("agent")
        key = self.query.text("key", max_length=200)
        roots = self.query.flag("root")

        def read(cur: Cursor) -> dict[str, Any]:
            wanted = RunFilter(key, subject_id(cur, "agent", organization, agent), roots)
            rows = queries.list_runs(
                cur, organization=organization, wanted=wanted, before=after(page), limit=page.fetch
            )
            currency = find_organization(cur, organization=organization).currency
            return envelope(
                rows,
                page=page,
                position=lambda row: (str(row.id),),
                show=lambda row: show_run(row, currency=currency),
            )

        return self.answer(read)


@extend_schema_view(get=extend_schema(responses=RunTreeSerializer, tags=["runs"]))
class RunDetailView(ReadView):
    """GET /v1/runs/{id or key}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """The run with its totals and burn rate, those of all below it, its own cost by step, its child runs, and the
        live switch of it or of a run above it."""
        organization: UUID = self.for_object(name, queries.organization_of_run)

        def read(cur: Cursor) -> dict[str, Any]:
            run = queries.find_run(cur, organization=organization, name=name)
            seen = how_far(cur, organization)
            burning = {**show_rate(rate_of_run(cur, run, seen.now)), "seen_until": utc(seen.until)}
            tree = queries.tree_of(cur, run)
            shown = show_run_tree(
                tree,
                currency=seen.currency,
                retries=queries.retries_of(cur, tree),
                steps=list(queries.steps_of(cur, run)),
            )
            over = switches_over_run(cur, run)
            switch = switch_shown(cur, over[0]) if over else None
            return {**shown, "switch": switch, "burn_rate": burning}

        return self.answer(read)

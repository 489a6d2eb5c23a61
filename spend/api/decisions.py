"""GET /v1/decisions: every answer of the gate, in order (S47)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from events.store import Cursor
from orgs.rules.permissions import KeyIsLimited
from spend.api.read_serializers import DecisionSerializer
from spend.api.reading import ReadView, after
from spend.api.representations import show_decision
from spend.queries.decisions import ANSWERS, DecisionFilter, list_decisions
from spend.queries.naming import named_run, subject_id


@extend_schema_view(get=extend_schema(responses=DecisionSerializer(many=True), tags=["decisions"]))
class DecisionListView(ReadView):
    """GET /v1/decisions."""

    query_parameters = ("run", "agent", "answer", "code", "from", "to", "order", "observed")
    paged = True
    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """The gate's answers in the order in which they were given; `order=desc`: newest first. `observed=true`: those
        of calls that a rule in observe mode would have refused."""
        organization, page = self.for_list(), self.page()
        limits = self.caller.limits
        if limits.connection_ids is not None:
            raise KeyIsLimited  # a decision does not say over which connection
        run, agent = self.query.text("run", max_length=200), self.query.text("agent")
        answer = self.query.choice("answer", options=ANSWERS)
        code = self.query.text("code")
        descending = self.query.choice("order", options=("asc", "desc")) == "desc"
        observed = self.query.flag("observed")
        start, end = self.period()

        def read(cur: Cursor) -> dict[str, Any]:
            wanted = DecisionFilter(
                run=named_run(cur, organization, run),
                agent_id=subject_id(cur, "agent", organization, agent, limits),
                only_agents=limits.ids("agent"),
                answer=answer,
                code=code,
                start=start,
                end=end,
                observed=observed,
            )
            rows: list[Any] = list_decisions(
                cur,
                organization=organization,
                wanted=wanted,
                position=after(page),
                limit=page.fetch,
                newest_first=descending,
            )
            return self.answer_rows(rows, page, show_decision)

        return self.answer(read)

"""/v1/simulations: time passes for a sandbox organization, and the answer says what that brings."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.simulation_representations import show_simulation
from billing.api.simulation_serializers import NewSimulationSerializer, SimulationSerializer
from billing.operations.simulating import Simulated, simulate
from billing.queries.happenings import happenings
from events.store import Cursor
from orgs.api.acting import OrgsView, checked
from orgs.rules.scopes import PLATFORM

MOST_SECONDS: Final = 20
MOST_SHOWN: Final = 1_000


@extend_schema_view(
    post=extend_schema(
        request=NewSimulationSerializer, responses={200: SimulationSerializer}, tags=["simulations"]
    )
)
class SimulationView(OrgsView):
    """POST /v1/simulations."""

    required_scope = PLATFORM

    def post(self, request: Request) -> HttpResponse:
        """Let time pass for a sandbox organization until a moment: its clock stops wherever something falls due, and
        what is due is done there. The answer tells what happened. One call works for 20 s at most; when it is not
        `finished`, the same call under another key goes on."""
        values = checked(NewSimulationSerializer, request)
        known = self.known_answer(request)
        if known is not None:
            return known
        organization = values["organization"]
        done = simulate(
            organization=organization, until=values["until"], author=self.author, most_seconds=MOST_SECONDS
        )
        return self.idempotent(request, partial(_shown, done=done), status=200)


def _shown(cur: Cursor, *, done: Simulated) -> dict[str, Any]:
    found = happenings(cur, organization=done.organization, after=done.after, last=done.last)
    some = list(islice(found, MOST_SHOWN + 1))
    return show_simulation(done, some[:MOST_SHOWN], more=len(some) > MOST_SHOWN)

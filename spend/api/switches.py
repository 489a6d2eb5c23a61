"""Pausing agents and runs, stopping runs, and /v1/kill-switches (S58, S60)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.paging import envelope
from common.api.views import path_id
from common.errors import InvalidField
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.api.acting import checked
from orgs.queries.subjects import organization_of
from orgs.rules.permissions import Permit, require_platform, require_stop_level
from orgs.rules.scopes import ADMIN, PLATFORM, SPEND_READ
from spend.api.reading import ReadView, after
from spend.api.switch_representations import switch_shown, switches_shown
from spend.api.switch_serializers import (
    KillSwitchSerializer,
    ReleaseReasonSerializer,
    StopSerializer,
    SwitchSerializer,
)
from spend.operations.switches.lifting import lift_switch, resume
from spend.operations.switches.setting import set_switch
from spend.queries import switches as queries
from spend.queries.naming import named_run, subject_id
from spend.queries.runs import organization_of_run
from spend.queries.switches import SwitchFilter
from spend.rules.switches import KINDS, MODES, SCOPES, NewSwitch


class StoppingView(ReadView):
    """What the views share that stop somebody, or let go on."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = ADMIN

    @property
    def permit(self) -> Permit:
        """Refuse whoever may not stop what is of this level."""
        return partial(require_stop_level, self.caller)


class TargetView(StoppingView):
    """One agent or run, named in the path by key or id."""

    scope: ClassVar[str]
    kind: ClassVar[str]

    def owner(self, name: str) -> UUID:
        """The organization of the target. Raises NotFound."""
        if self.scope == "run":
            return self.for_object(name, organization_of_run)
        return self.for_object(
            name, lambda cur, identifier: organization_of(cur, "agent", identifier=identifier)
        )

    def stop(self, request: Request, name: str) -> HttpResponse:
        """Set this view's kind of switch on the target."""
        values = checked(StopSerializer, request)
        organization = self.owner(name)
        new = NewSwitch(self.scope, self.kind, target=name, **values)

        def operation(cur: Cursor) -> dict[str, Any]:
            switch = set_switch(cur, organization, new, author=self.author, permit=self.permit)
            return switch_shown(cur, switch)

        return self.idempotent(request, operation, status=200)

    def go_on(self, request: Request, name: str) -> HttpResponse:
        """Lift the target's pauses."""
        reason = checked(ReleaseReasonSerializer, request)["reason"]
        organization = self.owner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            switch = resume(
                cur, organization, self.scope, name, reason=reason, author=self.author, permit=self.permit
            )
            return switch_shown(cur, switch)

        return self.idempotent(request, operation, status=200)


_agents = extend_schema(request=StopSerializer, responses={200: SwitchSerializer}, tags=["agents"])
_runs = extend_schema(request=StopSerializer, responses={200: SwitchSerializer}, tags=["runs"])


@extend_schema_view(post=_agents)
class AgentPauseView(TargetView):
    """POST /v1/agents/{id or key}/pause."""

    scope, kind = "agent", "pause"

    def post(self, request: Request, name: str) -> HttpResponse:
        """Refuse the agent's new calls with 403 `paused` until a person resumes it. Calls in flight still settle."""
        return self.stop(request, name)


@extend_schema_view(
    post=extend_schema(request=ReleaseReasonSerializer, responses={200: SwitchSerializer}, tags=["agents"])
)
class AgentResumeView(TargetView):
    """POST /v1/agents/{id or key}/resume."""

    scope, kind = "agent", "pause"

    def post(self, request: Request, name: str) -> HttpResponse:
        """Lift the agent's pauses, whoever or whatever set them; the incidents behind them are released."""
        return self.go_on(request, name)


@extend_schema_view(post=_runs)
class RunPauseView(TargetView):
    """POST /v1/runs/{id or key}/pause."""

    scope, kind = "run", "pause"

    def post(self, request: Request, name: str) -> HttpResponse:
        """Refuse new calls of the run and of all below it with 403 `paused` until a person resumes it."""
        return self.stop(request, name)


@extend_schema_view(
    post=extend_schema(request=ReleaseReasonSerializer, responses={200: SwitchSerializer}, tags=["runs"])
)
class RunResumeView(TargetView):
    """POST /v1/runs/{id or key}/resume."""

    scope, kind = "run", "pause"

    def post(self, request: Request, name: str) -> HttpResponse:
        """Lift the run's own pauses. A stopped run never works again: 409 `invalid_transition`."""
        return self.go_on(request, name)


@extend_schema_view(post=_runs)
class RunStopView(TargetView):
    """POST /v1/runs/{id or key}/stop."""

    scope, kind = "run", "stop"

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the run and all below it for good: its new calls are refused with 403 `blocked`."""
        return self.stop(request, name)


@extend_schema_view(
    get=extend_schema(responses=SwitchSerializer(many=True), tags=["kill-switches"]),
    post=extend_schema(
        request=KillSwitchSerializer, responses={201: SwitchSerializer}, tags=["kill-switches"]
    ),
)
class KillSwitchListView(StoppingView):
    """GET and POST /v1/kill-switches."""

    required_scope = {"GET": SPEND_READ, "POST": ADMIN}
    query_parameters = ("live", "scope", "kind", "mode", "agent", "run")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Switches of every kind, newest first: pauses, kill switches and stopped runs. `agent`, `run`: on this one."""
        scope = self.query.choice("scope", options=SCOPES)
        asks_platform = scope == "platform" and self.caller.has_scope(PLATFORM)
        organization, page = PLATFORM_ID if asks_platform else self.for_list(), self.page()
        live, kind = self.query.flag("live"), self.query.choice("kind", options=KINDS)
        mode, agent = self.query.choice("mode", options=MODES), self.query.text("agent")
        run = self.query.text("run", max_length=200)

        def read(cur: Cursor) -> dict[str, Any]:
            named = named_run(cur, organization, run)
            wanted = SwitchFilter(
                live, scope, kind, mode, subject_id(cur, "agent", organization, agent), named and named.key
            )
            rows = queries.list_switches(
                cur, organization=organization, wanted=wanted, before=after(page), limit=page.fetch
            )
            shown = switches_shown(cur, organization, rows)
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return self.answer(read)

    def post(self, request: Request) -> HttpResponse:
        """Stop a target at once. Where a kill switch stands on it already, that one is the answer."""
        values = checked(KillSwitchSerializer, request)
        organization = self._owner_of_new(values)
        given = {name: values[name] for name in ("target", "mode") if name in values}
        new = NewSwitch(values["scope"], "kill", values["reason"], **given)

        def operation(cur: Cursor) -> dict[str, Any]:
            switch = set_switch(
                cur, organization, new, author=self.author, permit=self.permit, pointer="/target"
            )
            return switch_shown(cur, switch)

        return self.idempotent(request, operation)

    def _owner_of_new(self, values: dict[str, Any]) -> UUID:
        if values["scope"] != "platform":
            return self.for_new(values)
        require_platform(self.caller)
        if values.get("organization", PLATFORM_ID) != PLATFORM_ID:
            raise InvalidField("The platform's switch is nobody else's.", pointer="/organization")
        return PLATFORM_ID


@extend_schema_view(get=extend_schema(responses=SwitchSerializer, tags=["kill-switches"]))
class KillSwitchDetailView(ReadView):
    """GET /v1/kill-switches/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One switch of any kind, also a lifted one."""
        switch = path_id(name)
        organization = self.for_object(name, queries.organization_of_switch)
        return self.answer(
            lambda cur: switch_shown(cur, queries.find_switch(cur, organization=organization, switch=switch))
        )


@extend_schema_view(
    post=extend_schema(
        request=ReleaseReasonSerializer, responses={200: SwitchSerializer}, tags=["kill-switches"]
    )
)
class KillSwitchReleaseView(StoppingView):
    """POST /v1/kill-switches/{id}/release."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Lift a switch; the incidents behind it are released. Lifting a lifted one changes nothing."""
        switch = path_id(name)
        reason = checked(ReleaseReasonSerializer, request)["reason"]
        organization = self.for_object(name, queries.organization_of_switch)

        def operation(cur: Cursor) -> dict[str, Any]:
            lifted = lift_switch(
                cur, organization, switch, reason=reason, author=self.author, permit=self.permit
            )
            return switch_shown(cur, lifted)

        return self.idempotent(request, operation, status=200)

"""/v1/run-policies: ceilings of runs, attempts and repeated fingerprints (S54 to S56)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked
from orgs.rules.scopes import ADMIN, SPEND_READ
from spend.api.policies import PolicyView
from spend.api.representations import utc
from spend.api.runpolicy_serializers import (
    RunPolicyChangeSerializer,
    RunPolicySerializer,
    ShownRunPolicySerializer,
)
from spend.operations.runpolicies.archive import archive_run_policy
from spend.operations.runpolicies.change import change_run_policy
from spend.operations.runpolicies.create import create_run_policy
from spend.queries import runpolicies as queries
from spend.queries.runpolicies import PolicyFilter
from spend.rules.runpolicies import RunPolicy, stored
from spend.rules.runpolicyfacts import RULES, SCOPES, read_policy


class RunPolicyView(PolicyView):
    """What the views of run policies share."""

    organization_of = queries.organization_of_policy


@extend_schema_view(
    get=extend_schema(responses=ShownRunPolicySerializer(many=True), tags=["run policies"]),
    post=extend_schema(
        request=RunPolicySerializer, responses={201: ShownRunPolicySerializer}, tags=["run policies"]
    ),
)
class RunPolicyListView(RunPolicyView):
    """GET and POST /v1/run-policies."""

    required_scope = {"GET": SPEND_READ, "POST": ADMIN}
    query_parameters = ("scope", "archived")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's run policies, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        wanted = PolicyFilter(self.query.choice("scope", options=SCOPES), self.query.flag("archived"))

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_policies(
                cur,
                organization=organization,
                wanted=wanted,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            names = queries.names_of(cur, organization, rows)
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: show_policy(row, names)
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a run policy. The gate obeys it at its next decision."""
        values = checked(RunPolicySerializer, request)
        terms = read_policy(values)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_one(
                cur, create_run_policy(cur, organization, terms, author=self.author, permit=self.permit)
            )

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=ShownRunPolicySerializer, tags=["run policies"]),
    patch=extend_schema(
        request=RunPolicyChangeSerializer, responses=ShownRunPolicySerializer, tags=["run policies"]
    ),
)
class RunPolicyDetailView(RunPolicyView):
    """GET and PATCH /v1/run-policies/{id}."""

    required_scope = {"GET": SPEND_READ, "PATCH": ADMIN}

    def get(self, request: Request, name: str) -> HttpResponse:
        """One run policy."""
        policy, organization = self.owner(name)

        def read(cur: Cursor) -> dict[str, Any]:
            return show_one(cur, queries.find_policy(cur, organization=organization, policy=policy))

        return json_response(run_in_transaction(read))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change rules or mode; null takes a rule away. The gate obeys it at its next decision (S42)."""
        return self.change(request, name, RunPolicyChangeSerializer, change_run_policy, show_one)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: ShownRunPolicySerializer}, tags=["run policies"])
)
class RunPolicyArchiveView(RunPolicyView):
    """POST /v1/run-policies/{id}/archive."""

    required_scope = ADMIN
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the policy. Archiving an archived one changes nothing."""
        return self.archive(request, name, archive_run_policy, show_one)


def show_one(cur: Cursor, policy: RunPolicy) -> dict[str, Any]:
    """A run policy as answers show it."""
    return show_policy(policy, queries.names_of(cur, UUID(str(policy.organization)), [policy]))


def show_policy(policy: RunPolicy, names: Mapping[str, str]) -> dict[str, Any]:
    """A run policy; `names`: keys of targets by id."""
    rules = stored(policy.rules)
    for level in rules.get("loop", {}).get("levels", ()):
        if level["action"] != "cap":
            del level["cooldown_ms"]
    target = policy.target_label
    if policy.target_id is not None:
        target = names.get(str(policy.target_id), str(policy.target_id))
    return {
        "id": policy.id,
        "organization": policy.organization,
        "scope": policy.scope,
        "target": target,
        "target_id": policy.target_id,
        **{name: rules.get(name) for name in RULES},
        "mode": policy.mode,
        "status": "active" if policy.archived_at is None else "archived",
        "version": policy.version,
        "created_at": utc(policy.created_at),
        "archived_at": utc(policy.archived_at),
    }

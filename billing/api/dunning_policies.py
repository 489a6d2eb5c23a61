"""/v1/dunning-policies: what is done when with customers that do not pay; the platform's."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api import dunning_serializers as shapes
from billing.api.catalog import CatalogView, path_name, utc
from billing.operations.dunning.policies import NewPolicy, archive_policy, change_policy, create_policy
from billing.queries.dunning_policies import documents_of, find_policy, list_policies
from billing.rules.dunning.policy import PolicyRow, parse_balances, parse_policy, write_policy
from billing.rules.dunning.timeline import Moment, timeline
from common import fields
from common.api.answers import json_response
from common.api.paging import envelope
from common.strictjson import child_pointer
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.rules.scopes import PLATFORM


class PolicyView(CatalogView):
    """Policies are the platform's own matter."""

    required_scope = PLATFORM


@extend_schema_view(
    get=extend_schema(responses=shapes.DunningPolicySerializer(many=True), tags=["dunning"]),
    post=extend_schema(
        request=shapes.DunningPolicySerializer,
        responses={201: shapes.DunningPolicySerializer},
        tags=["dunning"],
    ),
)
class PolicyListView(PolicyView):
    """GET and POST /v1/dunning-policies."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The policies, by their keys."""
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_policies(cur, after=page.position[0] if page.position else None, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (row.key,), show=show_policy)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a policy; cases that open from now on go by it."""
        values = checked(shapes.DunningPolicySerializer, request)
        new = NewPolicy(key=values["key"], **_read(values))

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_policy(create_policy(cur, new, author=self.author))

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=shapes.DunningPolicySerializer, tags=["dunning"]),
    patch=extend_schema(
        request=shapes.DunningPolicyChangeSerializer,
        responses=shapes.DunningPolicySerializer,
        tags=["dunning"],
    ),
)
class PolicyDetailView(PolicyView):
    """GET and PATCH /v1/dunning-policies/{key or id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One policy."""
        key = path_name(name)
        return json_response(run_in_transaction(lambda cur: show_policy(find_policy(cur, key))))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change whom it is for, or what is done: another document is its next version, and open cases keep theirs."""
        values, key = checked(shapes.DunningPolicyChangeSerializer, request, partial=True), path_name(name)
        changes = _read(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_policy(change_policy(cur, policy=key, changes=changes, author=self.author))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    get=extend_schema(responses=shapes.DunningPolicyVersionSerializer(many=True), tags=["dunning"])
)
class PolicyVersionsView(PolicyView):
    """GET /v1/dunning-policies/{key or id}/versions."""

    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """Every document that it had, the newest first."""
        key = path_name(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = page.position[0] if page.position else None
            rows = documents_of(cur, find_policy(cur, key).id, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (row[0],), show=_show_version)

        return json_response(run_in_transaction(read))


@extend_schema_view(
    post=extend_schema(request=None, responses={200: shapes.DunningPolicySerializer}, tags=["dunning"])
)
class PolicyArchiveView(PolicyView):
    """POST /v1/dunning-policies/{key or id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End a policy: no case opens with it any more, open ones keep it."""
        refuse_fields(request)
        key = path_name(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_policy(archive_policy(cur, policy=key, author=self.author))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(
        request=shapes.DunningPreviewSerializer,
        responses={200: shapes.DunningTimelineSerializer},
        tags=["dunning"],
    )
)
class PolicyPreviewView(PolicyView):
    """POST /v1/dunning-policies/preview."""

    def post(self, request: Request) -> HttpResponse:
        """What a policy would do for an invoice, or with these overdue balances, worked out by the machine itself;
        nothing is saved."""
        values = checked(shapes.DunningPreviewSerializer, request)
        policy = parse_policy(values["policy"], "/policy")
        moments = timeline(
            policy,
            due_at=values["due_at"],
            zone=values.get("time_zone", "UTC"),
            is_hard=values.get("is_hard", False),
            paid_on_day=values.get("paid_on_day"),
            overdue=parse_balances(values["overdue"], pointer="/overdue") if "overdue" in values else None,
        )
        shown = {"policy": write_policy(policy), "timeline": [_show_moment(each) for each in moments]}
        return json_response(shown)


def show_policy(row: PolicyRow) -> dict[str, Any]:
    """A policy as answers show it."""
    return {
        "id": row.id,
        "key": row.key,
        "name": row.name,
        "policy": write_policy(row.policy),
        "plans": row.plans,
        "contracts": row.contracts,
        "is_default": row.is_default,
        "number": row.number,
        "status": "active" if row.archived_at is None else "archived",
        "created_at": utc(row.created_at),
        "archived_at": utc(row.archived_at),
    }


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a body, as the operations take them. Raises InvalidField and InvalidId."""
    found: dict[str, Any] = {name: values[name] for name in ("name", "is_default") if name in values}
    if "policy" in values:
        found["policy"] = parse_policy(values["policy"], "/policy")
    if "plans" in values:
        found["plans"] = tuple(dict.fromkeys(values["plans"]))
    if "contracts" in values:
        ids = [
            fields.uuid(text, pointer=child_pointer("/contracts", place))
            for place, text in enumerate(values["contracts"])
        ]
        found["contracts"] = tuple(dict.fromkeys(ids))
    return found


def _show_version(row: tuple[int, dict[str, Any], Any]) -> dict[str, Any]:
    return {"number": row[0], "policy": row[1], "made_at": utc(row[2])}


def _show_moment(found: Moment) -> dict[str, Any]:
    return {
        "at": utc(found.at),
        "day": found.day,
        "event": found.event,
        "state": found.state,
        "standing": found.standing,
        "notice": found.notice,
        "why": found.why,
        "currency": found.currency,
        "attempt": found.attempt,
    }

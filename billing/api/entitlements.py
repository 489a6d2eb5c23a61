"""/v1/entitlements: what an organization may use, and where each value comes from (S79)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request

from billing.api.acting import BillingView
from billing.api.catalog import utc
from billing.queries.contracts import contract_features
from billing.queries.entitlements import entitlements
from billing.rules.entitlements import Entitlements
from common import fields
from common.api.answers import json_response
from common.api.serializers import FlagField, IdField, InstantField, StrictField, WordField
from common.transactions import run_in_transaction
from events.store import Cursor
from spend.queries.budgets import business_now

FEATURES: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["value", "source"],
        "additionalProperties": False,
        "properties": {
            "value": {
                "type": ["boolean", "integer", "string", "null"],
                "description": "Null: without limit.",
            },
            "source": {"type": "string", "description": "plan:<key>@<version number>, or the contract."},
        },
    },
    "examples": [{"max_agents": {"value": 10, "source": "plan:advanced@2"}}],
}


@extend_schema_field(FEATURES)
class FeaturesField(StrictField):
    """Features with their values and sources."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class ReasonsField(StrictField):
    """Words that say what took access or spending away."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.text_list, **kwargs)


class EntitlementsSerializer(serializers.Serializer[Any]):
    """What an organization may use now."""

    organization = IdField()
    at = InstantField(help_text="The organization's clock.")
    access = WordField(("full", "read_only", "none"))
    can_spend = FlagField(help_text="False: nothing can be spent, for the reasons that are named.")
    reasons = ReasonsField(
        help_text="dunning:throttled, dunning:credit_only, dunning:suspended, credit, no_plan."
    )
    features = FeaturesField(help_text="Values stay as they are while access is taken away.")


@extend_schema_view(get=extend_schema(responses=EntitlementsSerializer, tags=["entitlements"]))
class EntitlementsView(BillingView):
    """GET /v1/entitlements."""

    narrows = True

    def get(self, request: Request) -> HttpResponse:
        """What the organization may use now, and where each value comes from."""
        organization = self.for_list()

        def read(cur: Cursor) -> dict[str, Any]:
            now = business_now(cur, organization)
            overrides = contract_features(cur, organization=organization, at=now)
            found = entitlements(cur, organization, now, overrides=overrides)
            return show_entitlements(organization, now, found)

        return json_response(run_in_transaction(read))


def show_entitlements(organization: UUID, now: datetime, found: Entitlements) -> dict[str, Any]:
    """Entitlements as answers show them."""
    return {
        "organization": organization,
        "at": utc(now),
        "access": found.access,
        "can_spend": found.can_spend,
        "reasons": list(found.reasons),
        "features": {
            name: {"value": each.value, "source": each.source} for name, each in found.features.items()
        },
    }

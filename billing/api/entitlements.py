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
from billing.queries.entitlements import entitlements
from billing.rules.entitlements import Entitlements
from billing.rules.plans import write_features
from common import fields
from common.api.answers import json_response
from common.api.serializers import AmountField, FlagField, IdField, InstantField, StrictField, WordField
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.queries.funding import LineMode, line_mode
from spend.queries.budgets import business_now
from spend.rules.entitled import obeyed

FEATURES: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["value", "source"],
        "additionalProperties": False,
        "properties": {
            "value": {
                "type": ["boolean", "integer", "string", "array", "null"],
                "items": {"type": "string"},
                "description": "Null: without limit.",
            },
            "source": {
                "type": "string",
                "description": "plan:<key>@<version number>, several of them for a list of all, or the contract.",
            },
            "gate": {"type": "boolean", "description": "Whether the gate obeys it by itself."},
        },
    },
    "examples": [{"max_agents": {"value": 10, "source": "plan:advanced@2", "gate": True}}],
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


class EntitledFundingSerializer(serializers.Serializer[Any]):
    """What becomes of use that no credit covers."""

    mode = WordField(("credit_only", "credit_then_invoice"), help_text="What the gate obeys.")
    credit_limit = AmountField(allow_null=True, help_text="Null: no limit, or no line.")
    said_by = serializers.CharField(help_text="organization, or plan:<key>@<version number>.")


class EntitlementsSerializer(serializers.Serializer[Any]):
    """What an organization may use now."""

    organization = IdField()
    at = InstantField(help_text="The organization's clock.")
    access = WordField(("full", "read_only", "none"))
    can_spend = FlagField(help_text="False: nothing can be spent, for the reasons that are named.")
    reasons = ReasonsField(
        help_text="dunning:throttled, dunning:credit_only, dunning:suspended, credit, no_plan."
    )
    funding = EntitledFundingSerializer()
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
            found = entitlements(cur, organization, now)
            funding = line_mode(cur, organization=organization)
            return show_entitlements(organization, now, found, funding)

        return json_response(run_in_transaction(read))


def show_entitlements(
    organization: UUID, now: datetime, found: Entitlements, funding: LineMode
) -> dict[str, Any]:
    """Entitlements as answers show them."""
    return {
        "organization": organization,
        "at": utc(now),
        "access": found.access,
        "can_spend": found.can_spend,
        "reasons": list(found.reasons),
        "funding": {
            "mode": funding.mode,
            "credit_limit": None if funding.limit is None else format_amount(funding.limit),
            "said_by": found.funding.source or "organization",
        },
        "features": {
            name: {"value": value, "source": found.features[name].source, "gate": obeyed(name, value)}
            for name, value in write_features({n: e.value for n, e in found.features.items()}).items()
        },
    }

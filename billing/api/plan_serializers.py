"""What requests about plans may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.plan_schema import PLAN_DEFINITION, PRICED_LINE, QUANTITIES
from billing.rules.plans import KINDS, TIMINGS
from common import fields
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    KeyField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)

MAX_NUMBER = 1_000_000


@extend_schema_field(PLAN_DEFINITION)
class DefinitionField(StrictField):
    """A plan's document; `billing.rules.plans` reads it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


@extend_schema_field(QUANTITIES)
class QuantitiesField(StrictField):
    """Quantities by charge; `billing.rules.previews` reads them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


@extend_schema_field(PRICED_LINE)
class PricedLineField(StrictField):
    """A priced line with its steps."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


class NewPlanSerializer(StrictSerializer):
    """A new plan; its first version is a draft."""

    key = KeyField(help_text="How the plan is named for ever.")
    definition = DefinitionField()


class NewPlanVersionSerializer(StrictSerializer):
    """The next version of a plan, as a draft; a draft that is there is replaced."""

    definition = DefinitionField()


class PlanSerializer(serializers.Serializer[Any]):
    """A plan as it is on sale."""

    id = IdField()
    key = KeyField()
    name = TextField()
    status = WordField(("active", "archived"))
    number = WholeNumberField(
        minimum=1, maximum=MAX_NUMBER, allow_null=True, help_text="Of the version on sale."
    )
    version_id = IdField(allow_null=True, help_text="Of the version on sale.")
    draft = WholeNumberField(
        minimum=1,
        maximum=MAX_NUMBER,
        allow_null=True,
        help_text="Number of the version that is not published; only the platform sees it.",
    )
    definition = DefinitionField(allow_null=True, help_text="What the version on sale sells.")
    created_at = InstantField()
    archived_at = InstantField(allow_null=True)


class PlanVersionSerializer(serializers.Serializer[Any]):
    """A version of a plan: what it sells never changes."""

    id = IdField()
    plan = KeyField()
    plan_id = IdField()
    number = WholeNumberField(minimum=1, maximum=MAX_NUMBER)
    status = WordField(
        ("draft", "published", "archived"), help_text="published: on sale; archived: another took its place."
    )
    definition = DefinitionField()
    created_at = InstantField()
    published_at = InstantField(allow_null=True)
    archived_at = InstantField(allow_null=True)


class PricePreviewSerializer(StrictSerializer):
    """For how much of what the price of one period is asked."""

    quantities = QuantitiesField(required=False)
    currency = CurrencyField()
    number = WholeNumberField(
        minimum=1, maximum=MAX_NUMBER, required=False, help_text="Another version than the one on sale."
    )
    first_period = FlagField(required=False, help_text="Count one-time charges, too. Default false.")


class PreviewLineSerializer(serializers.Serializer[Any]):
    """One charge of the period."""

    charge = KeyField()
    name = TextField()
    kind = WordField(KINDS)
    timing = WordField(TIMINGS)
    amount = AmountField(help_text="At the currency's own precision, as an invoice would have it.")
    line = PricedLineField()


class ShownPreviewSerializer(serializers.Serializer[Any]):
    """What one period would cost, before coupons, credit and tax."""

    plan = KeyField()
    number = WholeNumberField(minimum=1, maximum=MAX_NUMBER)
    currency = CurrencyField()
    lines = PreviewLineSerializer(many=True)
    total = AmountField()

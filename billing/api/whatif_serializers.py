"""What a question about other prices of metered charges may hold, and what its answer shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.invoice_serializers import SignedAmountField
from billing.api.plan_schema import CHARGE_DEFINITION
from billing.rules.otherfees import MAX_CHARGES, MAX_ORGANIZATIONS
from common.api.serializers import CurrencyField, IdField, InstantField, TextField, WholeNumberField

_MOST = 2**53


@extend_schema_field(
    {
        "type": "object",
        "description": "One for each of the currencies, as a plan's definition states it.",
        "additionalProperties": CHARGE_DEFINITION,
    }
)
class _PricesField(serializers.DictField):
    """Prices of a charge by currency."""


class OtherChargeSerializer(serializers.Serializer[Any]):
    """A metered charge of a plan with prices to try."""

    plan = TextField(help_text="Key of the plan; of all its versions.")
    charge = TextField(help_text="Key of the charge.")
    prices = _PricesField(
        child=serializers.DictField(),
        help_text="By currency, each as a plan's definition states it. A customer of another currency stays as it is.",
    )
    included = TextField(required=False, help_text="Units that are free; default: as many as the plan says.")


class RateMetersAgainSerializer(serializers.Serializer[Any]):
    """Metered periods to rate on other prices: those that ended in (from, to], 366 days at most."""

    to = InstantField()
    organizations = serializers.ListField(
        child=IdField(), required=False, max_length=MAX_ORGANIZATIONS, help_text="Absent: all but sandboxes."
    )
    charges = OtherChargeSerializer(many=True, help_text=f"1 to {MAX_CHARGES}.")

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which is no name in Python."""
        return {"from": InstantField(), **super().get_fields()}


class MeteredDifferenceSerializer(serializers.Serializer[Any]):
    """What a charge came to for a customer, as it was billed and as it would be."""

    organization = IdField()
    name = TextField()
    currency = CurrencyField()
    plan = TextField()
    charge_key = TextField()
    meter = TextField()
    periods = WholeNumberField(minimum=0, maximum=_MOST)
    rerated = WholeNumberField(
        minimum=0, maximum=_MOST, help_text="Periods for which another price is stated."
    )
    charge = SignedAmountField()
    other_charge = SignedAmountField()
    difference = SignedAmountField()


class MeteredTotalSerializer(serializers.Serializer[Any]):
    """All of one currency."""

    currency = CurrencyField()
    charge = SignedAmountField()
    other_charge = SignedAmountField()
    difference = SignedAmountField()


class MetersRatedAgainSerializer(serializers.Serializer[Any]):
    """The difference, by customer and charge."""

    data = MeteredDifferenceSerializer(many=True)  # type: ignore[assignment]
    totals = MeteredTotalSerializer(many=True)

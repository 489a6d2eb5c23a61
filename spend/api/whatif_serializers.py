"""What a question about other prices may hold, and what its answer shows; the question is read by `read_question`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.api.serializers import (
    AMOUNT_PATTERN,
    AmountField,
    CurrencyField,
    IdField,
    InstantField,
    TextField,
    WholeNumberField,
    WordField,
)
from spend.api.price_serializers import ComponentsField, PriceTextField
from spend.rules.modelnames import NAME_LENGTH
from spend.rules.otherprices import MAX_ORGANIZATIONS, MAX_PER, MAX_PRICES, TOOL_UNITS

_MOST = 2**53


@extend_schema_field({"type": "string", "pattern": AMOUNT_PATTERN.replace("^", "^-?"), "examples": ["-1.5"]})
class DifferenceField(AmountField):
    """An amount of either sign that the server states."""


class OtherPriceSerializer(serializers.Serializer[Any]):
    """A price to try, in the form in which prices are published."""

    organization = IdField(
        required=False, allow_null=True, help_text="Whose own price it would be; absent: the book's."
    )
    provider = TextField(max_length=NAME_LENGTH)
    model = TextField(max_length=NAME_LENGTH)
    currency = CurrencyField(required=False, help_text="Default: the organization's; of the book USD.")
    components = ComponentsField()
    valid_from = InstantField(required=False, help_text="Default: for ever before, too.")
    valid_to = InstantField(required=False, allow_null=True)


class OtherToolPriceSerializer(serializers.Serializer[Any]):
    """A tool's price to try, in the form in which such prices are published."""

    organization = IdField(required=False, allow_null=True, help_text="Whose own price; absent: the book's.")
    pattern = TextField(max_length=NAME_LENGTH)
    unit = WordField(TOOL_UNITS, required=False, default="call")
    amount = PriceTextField()
    per = WholeNumberField(minimum=1, maximum=MAX_PER, required=False, default=1)
    currency = CurrencyField(required=False, help_text="Default: the organization's; of the book USD.")
    valid_from = InstantField(required=False, help_text="Default: for ever before, too.")
    valid_to = InstantField(required=False, allow_null=True)


class RateAgainSerializer(serializers.Serializer[Any]):
    """Usage to rate on other prices: what occurred in [from, to), 366 days at most."""

    to = InstantField()
    organizations = serializers.ListField(
        child=IdField(), required=False, max_length=MAX_ORGANIZATIONS, help_text="Absent: all but sandboxes."
    )
    prices = OtherPriceSerializer(many=True, required=False, help_text=f"Of models, up to {MAX_PRICES}.")
    tools = OtherToolPriceSerializer(many=True, required=False, help_text=f"Of tools, up to {MAX_PRICES}.")

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which is no name in Python."""
        return {"from": InstantField(), **super().get_fields()}


class RatedDifferenceSerializer(serializers.Serializer[Any]):
    """What a customer used of a model, as it was rated and as it would be."""

    organization = IdField()
    name = TextField()
    currency = CurrencyField()
    provider = TextField(allow_null=True)
    model = TextField(allow_null=True)
    tool = TextField(allow_null=True, help_text="Of calls of a tool alone.")
    records = WholeNumberField(minimum=0, maximum=_MOST)
    rerated = WholeNumberField(minimum=0, maximum=_MOST)
    unpriced = WholeNumberField(
        minimum=0,
        maximum=_MOST,
        help_text="The other price lacks a component that they used; left as they are.",
    )
    unexplained = WholeNumberField(
        minimum=0,
        maximum=_MOST,
        help_text="Their rating cannot be repeated, such as a batch's; left as they are.",
    )
    cost = AmountField()
    other_cost = AmountField()
    charge = AmountField()
    other_charge = AmountField()
    difference = DifferenceField(help_text="Of the charge.")


class RatedTotalSerializer(serializers.Serializer[Any]):
    """All of one currency."""

    currency = CurrencyField()
    charge = AmountField()
    other_charge = AmountField()
    difference = DifferenceField()


class RatedAgainSerializer(serializers.Serializer[Any]):
    """The difference, by customer and model."""

    data = RatedDifferenceSerializer(many=True)  # type: ignore[assignment]
    totals = RatedTotalSerializer(many=True)

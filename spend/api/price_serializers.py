"""What requests about prices may hold and answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.api.serializers import (
    FINE_PATTERN,
    CurrencyField,
    IdField,
    InstantField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from common.errors import InvalidAmount, InvalidField, InvalidQuantity, ProblemError
from common.money import MAX_COUNT
from spend.operations.prices.publish import MAX_PER
from spend.queries.pricelists import CHANGE_STATUSES, PRICE_KINDS
from spend.rules.modelnames import NAME_LENGTH
from spend.rules.pricedata import components_of_text, price_of_text
from spend.rules.pricetexts import ppm_of_percent

MAX_COMPONENTS: Final = 100
TOOL_UNITS: Final = ("call", "second", "unit")
_PRICE: Final = {"type": "string", "pattern": FINE_PATTERN, "examples": ["3"]}
_COMPONENT: Final = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": _PRICE,
        "per": {"type": "integer", "minimum": 1, "description": "Tokens: 1, 1,000 or 1,000,000."},
        "tiers": {
            "type": "array",
            "description": "[above this many input tokens, amount], ascending.",
            "items": {
                "type": "array",
                "prefixItems": [{"type": "integer", "minimum": 0}, _PRICE],
                "items": False,
                "minItems": 2,
            },
        },
        "source_text": {"type": "string", "description": "The source's figure, if it was finer; never sent."},
    },
    "additionalProperties": False,
}
COMPONENTS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "By component. A text alone is per million for tokens, per one for everything else.",
    "additionalProperties": {"oneOf": [_PRICE, _COMPONENT]},
    "minProperties": 1,
    "examples": [{"input": "3", "output": {"amount": "15", "per": 1000000, "tiers": [[200000, "22.5"]]}}],
}


def components(value: object, *, pointer: str = "") -> dict[str, Any]:
    """A price's components as a person states them. Raises InvalidField and InvalidAmount."""
    if not isinstance(value, dict) or len(value) > MAX_COMPONENTS:
        raise InvalidField(f"This is no object of at most {MAX_COMPONENTS} components.", pointer=pointer)
    try:
        components_of_text(value)
    except ProblemError as error:
        raise type(error)(error.detail, pointer=pointer) from None
    return value


def price_text(value: object, *, pointer: str = "") -> str:
    """A price as text, checked. Raises InvalidAmount."""
    try:
        price_of_text(value)
    except InvalidAmount as error:
        raise InvalidAmount(error.detail, pointer=pointer) from None
    return str(value)


@extend_schema_field(COMPONENTS)
class ComponentsField(StrictField):
    """The components of a price."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(components, **kwargs)


@extend_schema_field(_PRICE)
class PriceTextField(StrictField):
    """A price or an exchange rate: a decimal string with up to 12 decimals."""

    null_error = InvalidAmount

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(price_text, **kwargs)


@extend_schema_field(
    {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,5})(\.[0-9]{1,4})?$", "examples": ["20"]}
)
class PercentField(StrictField):
    """A percentage: a decimal string with up to 4 decimals outside, millionths inside."""

    null_error = InvalidQuantity

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ppm_of_percent, **kwargs)


class OwnerField(IdField):
    """Whose own price it is; without it the book's, or the default."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False,
            allow_null=True,
            help_text="The organization whose own it is; null or absent: the platform's.",
            **kwargs,
        )


class EndSerializer(StrictSerializer):
    """When it ends; without it now, or never if it has not begun."""

    valid_to = InstantField(required=False)


class DecisionReasonSerializer(StrictSerializer):
    """Why a price change is taken."""

    reason = TextField(max_length=500, required=False)


class RejectionSerializer(StrictSerializer):
    """Why a price change is not taken."""

    reason = TextField(max_length=500)


class VariantSerializer(serializers.Serializer[Any]):
    """Prices that replace those of the same name for calls in this context, such as a batch."""

    when = serializers.DictField(child=serializers.CharField())
    components = ComponentsField()


class PriceSerializer(StrictSerializer):
    """A dated version of a model's price: of the book, or what one organization is charged. Never changed."""

    id = IdField(read_only=True)
    organization = OwnerField()
    kind = WordField(PRICE_KINDS, read_only=True)
    provider = TextField(max_length=NAME_LENGTH)
    model = TextField(max_length=NAME_LENGTH)
    currency = CurrencyField(required=False, help_text="Default: the organization's; of the book USD.")
    components = ComponentsField()
    valid_from = InstantField(required=False, help_text="Default: now.")
    valid_to = InstantField(
        required=False,
        allow_null=True,
        help_text="Not included; null or absent: until something later begins.",
    )
    context_window = WholeNumberField(
        minimum=1, maximum=MAX_COUNT, required=False, write_only=True, help_text="Of a model that is new."
    )
    max_output_tokens = WholeNumberField(
        minimum=1, maximum=MAX_COUNT, required=False, write_only=True, help_text="Of a model that is new."
    )
    variants = VariantSerializer(many=True, read_only=True)
    daily_from = WholeNumberField(minimum=0, maximum=86_400, read_only=True, allow_null=True)
    daily_to = WholeNumberField(minimum=0, maximum=86_400, read_only=True, allow_null=True)
    source = TextField(read_only=True)  # type: ignore[assignment]
    source_version = TextField(read_only=True)
    approved_by = TextField(read_only=True, allow_null=True)
    published_at = InstantField(read_only=True)


class ProposedPriceSerializer(serializers.Serializer[Any]):
    """A dated price inside of a price change."""

    components = ComponentsField()
    variants = VariantSerializer(many=True)
    daily_from = WholeNumberField(minimum=0, maximum=86_400, allow_null=True)
    daily_to = WholeNumberField(minimum=0, maximum=86_400, allow_null=True)
    valid_from = InstantField()
    valid_to = InstantField(allow_null=True)


class PriceChangeSerializer(serializers.Serializer[Any]):
    """Prices of a model in the source that differ from the book's: they wait for a decision."""

    id = IdField()
    provider = TextField()
    model = TextField()
    status = WordField(CHANGE_STATUSES)
    current = ProposedPriceSerializer(many=True)
    proposal = ProposedPriceSerializer(many=True)
    source = TextField()  # type: ignore[assignment]
    source_version = TextField()
    proposed_at = InstantField()
    decided_at = InstantField(allow_null=True)
    decided_by = TextField(allow_null=True)
    reason = TextField(allow_null=True)


class ToolPriceSerializer(StrictSerializer):
    """A dated price of a tool, by exact name, prefix followed by `*`, or `*` for all others."""

    id = IdField(read_only=True)
    organization = OwnerField()
    pattern = TextField(max_length=NAME_LENGTH)
    unit = WordField(TOOL_UNITS, required=False, default="call")
    amount = PriceTextField()
    per = WholeNumberField(minimum=1, maximum=MAX_PER, required=False, default=1)
    currency = CurrencyField(required=False, help_text="Default: the organization's; of the book USD.")
    valid_from = InstantField(required=False, help_text="Default: now.")
    valid_to = InstantField(required=False, allow_null=True)
    source = TextField(read_only=True)  # type: ignore[assignment]
    published_at = InstantField(read_only=True)


class MarkupSerializer(StrictSerializer):
    """What is added to the book's prices in charges; without an organization the default of all."""

    id = IdField(read_only=True)
    organization = OwnerField()
    percent = PercentField()
    reason = TextField(max_length=500)
    valid_from = InstantField(required=False, help_text="Default: now.")
    valid_to = InstantField(required=False, allow_null=True)
    published_at = InstantField(read_only=True)


class ExchangeRateSerializer(StrictSerializer):
    """One unit of `base` is `rate` units of `quote`; the markup is added to charges, not to costs."""

    id = IdField(read_only=True)
    base = CurrencyField()
    quote = CurrencyField()
    rate = PriceTextField()
    markup_percent = PercentField(required=False, default=0)
    valid_from = InstantField(required=False, help_text="Default: now.")
    valid_to = InstantField(required=False, allow_null=True)
    source = TextField(read_only=True)  # type: ignore[assignment]
    published_at = InstantField(read_only=True)

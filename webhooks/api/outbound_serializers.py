"""What requests about outbound webhooks may hold and answers show."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common import fields
from common.api.serializers import (
    FlagField,
    FreeObjectField,
    IdField,
    InstantField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from common.money import format_amount
from common.strictjson import child_pointer
from webhooks.queries.outbound.deliveries import STATUSES as DELIVERY_STATUSES
from webhooks.rules.outbound import endpoints as rules
from webhooks.rules.outbound.addresses import MAX_URL, InvalidUrl, parse_target
from webhooks.rules.outbound.secrets import MAX_OVERLAP_SECONDS


def url(value: object, *, pointer: str = "") -> str:
    """An address that may be told. Raises InvalidUrl."""
    if type(value) is not str:
        raise InvalidUrl(pointer=pointer)
    parse_target(value, loopback=settings.WEBHOOKS_TO_LOOPBACK, pointer=pointer)
    return value


def amounts(value: object, *, pointer: str = "") -> list[int]:
    """A list of amounts. Raises InvalidField and InvalidAmount."""
    texts = fields.text_list(value, pointer=pointer) if value != [] else []
    return [
        fields.amount(text, pointer=child_pointer(pointer, str(place))) for place, text in enumerate(texts)
    ]


@extend_schema_field(
    {
        "type": "string",
        "format": "uri",
        "maxLength": MAX_URL,
        "examples": ["https://hooks.example.com/counterfoil"],
    }
)
class UrlField(StrictField):
    """https on port 443 or 8443 of a public address."""

    null_error = InvalidUrl

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "examples": ["invoice.*"]},
        "minItems": 1,
        "maxItems": rules.MAX_EVENT_TYPES,
    }
)
class EventTypesField(StrictField):
    """Types of GET /v1/webhook-event-types, `invoice.*`, or `*`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.text_list, **kwargs)


@extend_schema_field({"type": "array", "items": {"type": "string", "examples": ["10.00"]}, "maxItems": 5})
class AmountsField(StrictField):
    """Amounts in the organization's currency."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(amounts, **kwargs)

    def to_representation(self, value: list[int]) -> list[str]:
        """Plain decimal strings."""
        return [format_amount(each) for each in value]


class WebhookEndpointSerializer(StrictSerializer):
    """Where the organization is told of events."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    url = UrlField()
    description = TextField(required=False, min_length=0, max_length=rules.MAX_DESCRIPTION, multiline=True)
    event_types = EventTypesField()
    low_credit = AmountsField(
        required=False, help_text="Tell `credit.low` when credit falls below one of these."
    )
    enabled = FlagField(required=False)
    status = WordField(rules.STATUSES, read_only=True)
    disabled_reason = WordField(rules.REASONS, read_only=True, allow_null=True)
    disabled_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


@extend_schema_serializer(component_name="IssuedWebhookEndpoint")
class IssuedEndpointSerializer(WebhookEndpointSerializer):
    """An endpoint with the signing secret that was just made; it is shown this once."""

    secret = TextField(read_only=True)


class WebhookEndpointChangeSerializer(StrictSerializer):
    """What may be changed of an endpoint."""

    url = UrlField(required=False)
    description = TextField(required=False, min_length=0, max_length=rules.MAX_DESCRIPTION, multiline=True)
    event_types = EventTypesField(required=False)
    low_credit = AmountsField(required=False)
    enabled = FlagField(required=False)


class SecretRotationSerializer(StrictSerializer):
    """How long the old secret signs, too."""

    overlap_seconds = WholeNumberField(
        minimum=0, maximum=MAX_OVERLAP_SECONDS, required=False, help_text="Default: a day."
    )


class WebhookReplaySerializer(StrictSerializer):
    """Which messages an endpoint is to get again: made in [since, until)."""

    since = InstantField()
    until = InstantField(required=False)
    include_delivered = FlagField(required=False)


class WebhookReplayedSerializer(serializers.Serializer[Any]):
    """What is sent again."""

    endpoint = IdField()
    replayed = QuantityField()
    more = FlagField(help_text="There are more than 10,000; ask again from where they end.")


class WebhookAttemptSerializer(serializers.Serializer[Any]):
    """One attempt: the HTTP status that came, or why none came."""

    at = InstantField()
    status = QuantityField(allow_null=True)
    error = TextField(allow_null=True)
    milliseconds = QuantityField()


class WebhookDeliverySerializer(serializers.Serializer[Any]):
    """One message on its way to one endpoint; `message` is the header webhook-id."""

    id = IdField()
    organization = IdField()
    endpoint = IdField()
    message = TextField()
    event_type = TextField()
    status = WordField(DELIVERY_STATUSES)
    attempts = QuantityField()
    next_attempt_at = InstantField(allow_null=True)
    response_status = QuantityField(allow_null=True)
    error = TextField(allow_null=True)
    created_at = InstantField()
    delivered_at = InstantField(allow_null=True)


class WebhookDeliveryDetailSerializer(WebhookDeliverySerializer):
    """A delivery with what is sent, word for word, and its last attempts."""

    body = TextField()
    tries = WebhookAttemptSerializer(many=True)


class WebhookEventTypeSerializer(serializers.Serializer[Any]):
    """A type that endpoints may be told of."""

    name = TextField()
    description = TextField()
    example = FreeObjectField(help_text="An example of `data`.")

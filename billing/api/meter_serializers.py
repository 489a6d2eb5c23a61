"""What requests about meters, events and backfills may hold, and what answers show: for the schema. Requests are read
by `billing.rules.meterbodies`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from billing.rules.meterevents import MAX_BATCH, OPEN, REVERTED
from billing.rules.meters import AGGREGATIONS, SOURCES
from common import fields
from common.api.serializers import (
    FlagField,
    IdField,
    InstantField,
    KeyField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    WordField,
)

_DATA = {
    "type": "object",
    "maxProperties": 50,
    "additionalProperties": {"type": ["string", "integer", "boolean"]},
    "examples": [{"gigabytes": "1.5", "region": "eu"}],
}
_ADJUSTMENT = (
    "Older than 35 days, of a period that is on an invoice, of a month that was closed, or of a backfill."
)
_FILTER = {
    "type": "object",
    "required": ["property"],
    "properties": {
        "property": {"type": "string", "maxLength": 40},
        "equals": {"type": ["string", "integer", "boolean"]},
        "in": {"type": "array", "items": {"type": ["string", "integer", "boolean"]}, "maxItems": 50},
        "exists": {"type": "boolean"},
    },
    "description": "With one of equals, in and exists.",
}


@extend_schema_field(_DATA)
class DataField(StrictField):
    """An event's data."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


@extend_schema_field({"type": "array", "items": _FILTER, "maxItems": 10})
class FiltersField(StrictField):
    """A meter's filters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


@extend_schema_field({"type": "object", "additionalProperties": {"type": ["string", "null"]}})
class GroupField(StrictField):
    """The values of the properties that a quantity is grouped by; null: not there."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


class NewMeterSerializer(StrictSerializer):
    """A new meter."""

    key = KeyField(help_text="How plans name it, for ever.")
    name = TextField()
    description = TextField(max_length=500, multiline=True, required=False)
    source = WordField(  # type: ignore[assignment]
        SOURCES, help_text="usage: the gate's usage records. events: what is sent to /v1/events."
    )
    aggregation = WordField(AGGREGATIONS)
    event_type = TextField(max_length=200, required=False, help_text="Of source events: for which type.")
    value_property = TextField(
        max_length=40,
        required=False,
        help_text="What is added up, compared or weighed; not of count and unique.",
    )
    unique_property = TextField(
        max_length=40,
        required=False,
        help_text="unique: whose values are counted. weighted_sum: what has a level.",
    )
    filters = FiltersField(required=False)
    group_by = serializers.ListField(child=TextField(max_length=40), max_length=5, required=False)


class MeterChangeSerializer(StrictSerializer):
    """Another name or description. What a meter counts never changes."""

    name = TextField(required=False)
    description = TextField(max_length=500, multiline=True, required=False, allow_null=True)


@extend_schema_serializer(component_name="Meter")
class MeterSerializer(NewMeterSerializer):
    """A meter."""

    id = IdField()
    status = WordField(("active", "archived"))
    version = QuantityField()
    created_at = InstantField()
    archived_at = InstantField(allow_null=True)


class MeterQuantitySerializer(StrictSerializer):
    """What a meter says of one group."""

    group = GroupField()
    quantity = TextField(help_text="To 12 decimals; may be below 0 where only what was taken back is told.")
    records = QuantityField()
    digest = TextField(help_text="SHA-256, in hex, over the ids of the records in order.")


class MeterQuantitiesSerializer(StrictSerializer):
    """What a meter says of a period as known now."""

    meter = TextField()
    # A field named `from` is no Python name; it is added below.
    to = InstantField()
    group_by = serializers.ListField(child=TextField())
    data = MeterQuantitySerializer(many=True)  # type: ignore[assignment]

    def get_fields(self) -> dict[str, Any]:
        """The declared fields, and `from`."""
        return {**super().get_fields(), "from": InstantField()}


class NewEventSerializer(StrictSerializer):
    """A quantity from outside."""

    source = TextField(  # type: ignore[assignment]
        max_length=200, help_text="With `id` unique for ever."
    )
    id = TextField(max_length=200)
    type = TextField(max_length=200, help_text="Which meters are for it.")
    subject = TextField(max_length=200, required=False)
    occurred_at = InstantField()
    data = DataField(required=False, help_text="Quantities are decimal strings or whole numbers.")  # type: ignore[assignment]


class CloudEventSerializer(StrictSerializer):
    """A CloudEvent 1.0; extension attributes are taken and say nothing."""

    specversion = WordField(("1.0",))
    source = TextField(  # type: ignore[assignment]
        max_length=200
    )
    id = TextField(max_length=200)
    type = TextField(max_length=200)
    time = InstantField()
    subject = TextField(max_length=200, required=False)
    datacontenttype = TextField(max_length=200, required=False, help_text="application/json")
    dataschema = TextField(max_length=500, required=False)
    data = DataField(required=False)  # type: ignore[assignment]


class NewEventBatchSerializer(StrictSerializer):
    """Up to 1,000 events, plain or as CloudEvents."""

    items = serializers.ListField(child=NewEventSerializer(), min_length=1, max_length=MAX_BATCH)


class RecordedEventSerializer(StrictSerializer):
    """What became of an event."""

    id = IdField()
    source = TextField(  # type: ignore[assignment]
    )
    external_id = TextField()
    type = TextField()
    occurred_at = InstantField()
    adjustment = FlagField(help_text=_ADJUSTMENT)
    meters = serializers.ListField(child=TextField(), help_text="Keys of the meters that count it.")
    unmatched = FlagField(help_text="No meter counts it.")


class EventResultSerializer(StrictSerializer):
    """The answer to one event of a batch: a recorded event, or a problem."""

    status = QuantityField()
    body = RecordedEventSerializer()


class EventResultsSerializer(StrictSerializer):
    """The answers to a batch, in order."""

    results = EventResultSerializer(many=True)


class EventStatementSerializer(StrictSerializer):
    """Something said about an event."""

    kind = WordField(("stated", "amended", "void"))
    occurred_at = InstantField(allow_null=True)
    data = DataField(allow_null=True)  # type: ignore[assignment]
    adjustment = FlagField()
    actor = TextField()
    reason = TextField(allow_null=True)
    recorded_at = InstantField(allow_null=True)


@extend_schema_serializer(component_name="MeterEvent")
class EventSerializer(StrictSerializer):
    """An event as it counts now, and all that was said about it."""

    id = IdField()
    organization = IdField()
    source = TextField(  # type: ignore[assignment]
    )
    external_id = TextField()
    type = TextField()
    subject = TextField(allow_null=True)
    status = WordField(("counts", "void"))
    occurred_at = InstantField()
    data = DataField()  # type: ignore[assignment]
    adjustment = FlagField()
    backfill = IdField(allow_null=True)
    history = EventStatementSerializer(many=True)


class AmendmentSerializer(StrictSerializer):
    """Other data or another time of an event."""

    reason = TextField(max_length=500, multiline=True)
    occurred_at = InstantField(required=False)
    data = DataField(required=False, help_text="All of the data anew.")  # type: ignore[assignment]


class MeterReasonSerializer(StrictSerializer):
    """Why something is taken back."""

    reason = TextField(max_length=500, multiline=True)


class NewBackfillSerializer(StrictSerializer):
    """A new backfill."""

    name = TextField()
    reason = TextField(max_length=500, multiline=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")


@extend_schema_serializer(component_name="EventBackfill")
class BackfillSerializer(StrictSerializer):
    """A backfill."""

    id = IdField()
    organization = IdField()
    name = TextField()
    reason = TextField()
    status = WordField((OPEN, REVERTED))
    events = QuantityField(help_text="How many were sent with it.")
    counting = QuantityField(help_text="How many of them still count.")
    created_by = TextField()
    created_at = InstantField()
    reverted_by = TextField(allow_null=True)
    reverted_at = InstantField(allow_null=True)
    revert_reason = TextField(allow_null=True)

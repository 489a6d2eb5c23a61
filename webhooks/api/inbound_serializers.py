"""What answers about Stripe's events show."""

from __future__ import annotations

from common.api.serializers import (
    FlagField,
    IdField,
    InstantField,
    QuantityField,
    StrictSerializer,
    TextField,
    WordField,
)
from webhooks.rules.inbound.judging import SOURCES, STATES


class StripeEventSerializer(StrictSerializer):
    """An event of Stripe and what became of it."""

    id = IdField(read_only=True)
    event = TextField(read_only=True, help_text="Stripe's id of the event.")
    type = TextField(read_only=True)
    endpoint = WordField(SOURCES, read_only=True, help_text="The kind of endpoint it came through.")
    account = TextField(
        read_only=True, allow_null=True, help_text="The connected account; null: the platform's own."
    )
    api_version = TextField(read_only=True, allow_null=True)
    livemode = FlagField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True, help_text="Stripe's clock.")
    via = WordField(
        ("delivery", "list", "objects"), read_only=True, help_text="Delivered, or found by catching up."
    )
    secret = QuantityField(
        read_only=True,
        allow_null=True,
        help_text="Which secret signed it, 0 the newest; null: it was not delivered.",
    )
    object = TextField(read_only=True, allow_null=True, help_text="The id of the object that is fetched.")
    object_kind = TextField(read_only=True, allow_null=True)
    state = WordField(STATES, read_only=True)
    reason = TextField(read_only=True, allow_null=True)
    detail = TextField(read_only=True, allow_null=True, help_text="The last error, or what was done.")
    attempts = QuantityField(read_only=True, help_text="Failed attempts in a row.")
    next_at = InstantField(read_only=True, allow_null=True, help_text="When it is worked on again by itself.")
    received_at = InstantField(read_only=True)
    finished_at = InstantField(read_only=True, allow_null=True)

"""What a request for a simulation may hold, and what its answer shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.api.invoice_serializers import SignedAmountField
from common.api.serializers import (
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from ledger.rules.chart import KINDS

_MOST = 2**53


class NewSimulationSerializer(StrictSerializer):
    """Time that is to pass for a sandbox organization."""

    organization = IdField()
    until = InstantField(
        help_text="At most ten years ahead of its clock. One that it shows already moves nothing."
    )


class PostedLineSerializer(serializers.Serializer[Any]):
    """An amount on an account: a credit is positive."""

    account = WordField(KINDS)
    amount = SignedAmountField()


class PostedEntrySerializer(serializers.Serializer[Any]):
    """A journal entry."""

    id = IdField()
    kind = TextField()
    effective_at = InstantField()
    currency = CurrencyField()
    lines = PostedLineSerializer(many=True)


class HappeningSerializer(serializers.Serializer[Any]):
    """An event as finance reads it, and what was posted with it."""

    seq = WholeNumberField(minimum=0, maximum=_MOST, help_text="Its number in the event log.")
    at = InstantField()
    type = TextField()
    object = IdField(help_text="The invoice, subscription or grant that it is about.")
    text = TextField()
    details = serializers.ListField(child=TextField())
    entries = PostedEntrySerializer(many=True)


class SimulationSerializer(serializers.Serializer[Any]):
    """How far time passed, and what happened, in order of business time."""

    organization = IdField()
    started_at = InstantField()
    reached_at = InstantField()
    finished = FlagField(help_text="False: the time for one call was over; the same call goes on from there.")
    moments = WholeNumberField(minimum=0, maximum=_MOST, help_text="At how many something was due.")
    first_event = WholeNumberField(minimum=0, maximum=_MOST)
    last_event = WholeNumberField(minimum=0, maximum=_MOST)
    happenings = HappeningSerializer(many=True)
    has_more = FlagField(help_text="True: more than 1,000 happened; the event log has all of it.")

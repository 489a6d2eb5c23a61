"""What requests about switches and incidents may hold and answers show."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    FreeObjectField,
    IdField,
    InstantField,
    QuantityField,
    StrictSerializer,
    TextField,
    WordField,
)
from spend.rules.incidents import TRIGGERS
from spend.rules.switches import CAUSES, KINDS, MAX_REASON, MODES, SCOPES

MAX_TARGET = 200
"""Keys and ids are shorter; the labels of users and the keys of runs may be this long."""


def reason() -> TextField:
    """Why a person does it: part of the record."""
    return TextField(max_length=MAX_REASON, multiline=True)


class StopSerializer(StrictSerializer):
    """Why a target is paused or stopped. In mode observe it goes on, and answers warn of it."""

    reason = reason()
    mode = WordField(MODES, required=False)


class ReleaseReasonSerializer(StrictSerializer):
    """Why it may go on."""

    reason = reason()


class KillSwitchSerializer(StrictSerializer):
    """A kill switch: the target is refused with 403 `blocked` until a person releases it."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    scope = WordField(SCOPES, help_text="platform: everybody; only with a key of the platform.")
    target = TextField(
        max_length=MAX_TARGET,
        required=False,
        help_text="Key or id; of a user the label, of an API key its id. Absent for platform and organization.",
    )
    reason = reason()
    mode = WordField(MODES, required=False)


class SwitchSerializer(serializers.Serializer[Any]):
    """Who may not work: paused or killed until a person lifts it, or (a run) stopped for good. `target` is a key, a
    user's label or the id of an API key; null: everything of the scope."""

    id = IdField()
    organization = IdField(help_text="The platform's own for scope platform.")
    scope = WordField(SCOPES)
    target = TextField(allow_null=True)
    target_id = IdField(allow_null=True)
    kind = WordField(KINDS)
    mode = WordField(MODES)
    status = WordField(("live", "lifted"))
    cause = WordField(CAUSES)
    incident = IdField(allow_null=True, help_text="What led to it; null: a person.")
    reason = TextField()
    set_by = TextField()
    set_at = InstantField()
    lifted_by = TextField(allow_null=True)
    lifted_at = InstantField(allow_null=True)
    lift_reason = TextField(allow_null=True)
    version = QuantityField()


class IncidentSerializer(serializers.Serializer[Any]):
    """A rule that acted: on whom, on what evidence, and who dealt with it. In mode observe nothing was done."""

    id = IdField()
    organization = IdField()
    trigger = WordField(TRIGGERS)
    mode = WordField(MODES)
    action = TextField()
    status = WordField(("open", "released"))
    scope = TextField()
    target = TextField(allow_null=True)
    target_id = IdField(allow_null=True)
    agent = TextField(allow_null=True)
    run = TextField(allow_null=True)
    rule = IdField(
        allow_null=True, help_text="Budget, rate limit or run policy; null: a default of the house."
    )
    switch = IdField(allow_null=True, help_text="What it paused or stopped.")
    spent = AmountField(help_text="Charged and held by the run, or else the target, when it was opened.")
    currency = CurrencyField()
    evidence = FreeObjectField()
    began_at = InstantField(help_text="The first call that belongs to it.")
    opened_at = InstantField()
    time_to_stop_ms = QuantityField()
    released_at = InstantField(allow_null=True)
    released_by = TextField(allow_null=True)
    release_reason = TextField(allow_null=True)
    version = QuantityField()

"""What requests about overrides and approvals may hold and answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    CurrencyField,
    IdField,
    InstantField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from spend.api.serializers import MAX_TARGET, LimitField
from spend.rules.approvals import STATUSES as APPROVAL_STATUSES
from spend.rules.budgets import MONEY_FREE_UNITS
from spend.rules.overrides import STATUSES as OVERRIDE_STATUSES

MAX_REASON = 500


class PolicyReasonSerializer(StrictSerializer):
    """Why a person decides so."""

    reason = TextField(max_length=MAX_REASON, multiline=True)


class OverrideSerializer(StrictSerializer):
    """An override: a budget raised for one run, until a time, or both."""

    amount = LimitField(required=False, help_text="What is added to the limit. Either this or limit.")
    limit = LimitField(required=False, help_text="What the limit is raised to; above the budget's own.")
    target = TextField(
        max_length=MAX_TARGET,
        required=False,
        help_text="Of a budget without a target: for one of its targets only. Key, id or label.",
    )
    run = TextField(max_length=MAX_TARGET, required=False, help_text="For this root run only: its key or id.")
    until = InstantField(required=False, help_text="When it ends. Either this or run, or both.")
    reason = TextField(max_length=MAX_REASON, multiline=True)


@extend_schema_serializer(component_name="Override")
class ShownOverrideSerializer(serializers.Serializer[Any]):
    """An override. Target null: every target of the budget; run null: every run; of currency and unit one is null."""

    id = IdField()
    organization = IdField()
    budget_id = IdField()
    target = TextField(allow_null=True)
    run = TextField(allow_null=True)
    amount = LimitField(help_text="What is added to the limit.")
    currency = CurrencyField(allow_null=True)
    unit = WordField(MONEY_FREE_UNITS, allow_null=True)
    reason = TextField()
    until = InstantField(allow_null=True)
    status = WordField(OVERRIDE_STATUSES)
    created_by = TextField()
    created_at = InstantField()
    ended_by = TextField(allow_null=True)
    ended_at = InstantField(allow_null=True)
    end_reason = TextField(allow_null=True)


@extend_schema_serializer(component_name="Approval")
class ShownApprovalSerializer(serializers.Serializer[Any]):
    """A threshold that waits for a person, or waited. Of percent and amount, of currency and unit one is null each."""

    id = IdField()
    organization = IdField()
    budget_id = IdField()
    target = TextField(allow_null=True)
    window_start = InstantField()
    window_end = InstantField(allow_null=True)
    percent = WholeNumberField(minimum=1, maximum=100, allow_null=True)
    amount = LimitField(allow_null=True)
    used = LimitField(help_text="Spent and held when it was crossed.")
    limit = LimitField()
    currency = CurrencyField(allow_null=True)
    unit = WordField(MONEY_FREE_UNITS, allow_null=True)
    agent = TextField(allow_null=True, help_text="Of the call that crossed it.")
    run = TextField(allow_null=True)
    status = WordField(
        APPROVAL_STATUSES, help_text="lapsed: undecided, and its window is over or the budget was changed."
    )
    asked_at = InstantField()
    decided_by = TextField(allow_null=True)
    decided_at = InstantField(allow_null=True)
    reason = TextField(allow_null=True)

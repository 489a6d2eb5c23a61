"""What requests may hold and answers show. Fields that the server sets are read-only: 400 when given."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common import fields
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    FreeObjectField,
    IdField,
    InstantField,
    KeyField,
    ReferenceField,
    StrictField,
    StrictSerializer,
    TextField,
    TimeZoneField,
    WholeNumberField,
    WordField,
    WordsField,
)
from common.errors import InvalidField
from orgs.rules.api_keys import MAX_OVERLAP_SECONDS
from orgs.rules.organizations import FUNDINGS
from orgs.rules.scopes import ALL_SCOPES, ROLES
from orgs.rules.subjects import BILLINGS

_EMAIL = re.compile(r"[^\s@<>\"(),:;]+@[^\s@<>\"(),:;]+")


def email(value: object, *, pointer: str = "") -> str:
    """An e-mail address of up to 254 characters, or nothing. Raises InvalidField and InvalidText."""
    checked = fields.text(value, pointer=pointer, min_length=0, max_length=254)
    if checked and not _EMAIL.fullmatch(checked):
        raise InvalidField("This is no e-mail address.", pointer=pointer)
    return checked


def reference_list(value: object, *, pointer: str = "") -> list[str]:
    """A list of at least one key or id. Raises InvalidField and InvalidText."""
    names = fields.text_list(value, pointer=pointer)
    if not names:
        raise InvalidField("The list is empty.", pointer=pointer)
    return names


@extend_schema_field({"type": "string", "format": "email", "maxLength": 254})
class EmailField(StrictField):
    """An e-mail address, or an empty text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(email, **kwargs)


@extend_schema_field({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100})
class ReferencesField(StrictField):
    """Keys or ids of objects."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(reference_list, **kwargs)


class SubjectSerializer(StrictSerializer):
    """What teams, agents, workflows and connections have in common. The key stays for ever."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is to be.")
    key = KeyField()
    name = TextField()
    status = WordField(("active", "archived"), read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


class SubjectChangeSerializer(StrictSerializer):
    """What may be changed of a team, agent, workflow or connection."""

    key = KeyField(read_only=True)
    name = TextField(required=False)


class TeamSerializer(SubjectSerializer):
    """A team."""


class TeamChangeSerializer(SubjectChangeSerializer):
    """Changes of a team."""


class AgentSerializer(SubjectSerializer):
    """An agent; `team` is the key of its team, `listing` of what a partner offers it as."""

    team = ReferenceField(required=False, help_text="Key or id of the team.")
    team_id = IdField(read_only=True, allow_null=True)
    listing = ReferenceField(
        required=False,
        help_text="Key or id of the listing that the agent calls: its partner shares in what it costs.",
    )
    listing_id = IdField(read_only=True, allow_null=True)


@extend_schema_serializer(component_name="Agent")
class ShownAgentSerializer(AgentSerializer):
    """An agent; `team` is the key of its team and `listing` of what it calls, null without one."""

    team = ReferenceField(allow_null=True)
    listing = ReferenceField(allow_null=True)


class AgentChangeSerializer(SubjectChangeSerializer):
    """Changes of an agent; `team: null` takes it out of its team, `listing: null` ends that a partner shares in it."""

    team = ReferenceField(required=False, allow_null=True)
    listing = ReferenceField(required=False, allow_null=True)


class WorkflowSerializer(SubjectSerializer):
    """A workflow."""


class WorkflowChangeSerializer(SubjectChangeSerializer):
    """Changes of a workflow."""


class ConnectionSerializer(SubjectSerializer):
    """A connection to a provider: `resold` (we pay the provider) or `own_key` (the customer does)."""

    billing = WordField(BILLINGS, required=False, default="resold")


class ConnectionChangeSerializer(SubjectChangeSerializer):
    """Changes of a connection."""

    billing = WordField(BILLINGS, required=False)


class MemberSerializer(StrictSerializer):
    """A person in an organization. A `team_owner` owns `team`; a `member` may be in one."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose member it is to be.")
    name = TextField()
    email = EmailField(required=False)
    role = WordField(ROLES)
    team = ReferenceField(required=False, help_text="Key or id of the team.")
    team_id = IdField(read_only=True, allow_null=True)
    status = WordField(("active", "archived"), read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


@extend_schema_serializer(component_name="Member")
class ShownMemberSerializer(MemberSerializer):
    """A person in an organization. `team` is the key of the one that a team_owner owns or a member is in."""

    team = ReferenceField(allow_null=True)


class MemberChangeSerializer(StrictSerializer):
    """Changes of a member."""

    name = TextField(required=False)
    email = EmailField(required=False)
    role = WordField(ROLES, required=False)
    team = ReferenceField(required=False, allow_null=True)


class OrganizationSerializer(StrictSerializer):
    """An organization: the customer that pays. Amounts are in its currency."""

    id = IdField(read_only=True)
    name = TextField()
    currency = CurrencyField()
    time_zone = TimeZoneField(required=False, default="UTC")
    funding = WordField(FUNDINGS)
    credit_limit = AmountField(required=False, allow_zero=True, allow_null=True)
    status = WordField(("active", "closed"), read_only=True)
    sandbox = FlagField(read_only=True, help_text="Whether its clock can be moved.")
    created_at = InstantField(read_only=True)


class ClockSerializer(serializers.Serializer[Any]):
    """An organization's business clock: what windows, holds, grants, prices and periods are judged by."""

    organization = IdField()
    now = InstantField()
    ahead_seconds = WholeNumberField(minimum=0, maximum=10**10, help_text="Of the wall clock.")


class ClockAdvanceSerializer(StrictSerializer):
    """How far a sandbox organization's clock is moved: to a moment, or by seconds."""

    to = InstantField(required=False, help_text="It shows this, or less than a second later.")
    seconds = WholeNumberField(minimum=1, maximum=316_224_000, required=False)


class OrganizationChangeSerializer(StrictSerializer):
    """Changes of an organization; `credit_limit` by the platform only, null: no limit (postpaid)."""

    name = TextField(required=False)
    currency = CurrencyField(read_only=True)
    time_zone = TimeZoneField(required=False)
    funding = WordField(FUNDINGS, read_only=True)
    sandbox = FlagField(read_only=True)
    credit_limit = AmountField(required=False, allow_zero=True, allow_null=True)


class ApiKeySerializer(StrictSerializer):
    """An API key without its secret. With a member the key has that member's role."""

    id = IdField(read_only=True)
    organization = IdField(read_only=True)
    name = TextField()
    prefix = TextField(read_only=True)
    scopes = WordsField(ALL_SCOPES)
    member = IdField(required=False)
    agents = ReferencesField(required=False, help_text="Keys or ids; absent: every agent.")
    connections = ReferencesField(required=False, help_text="Keys or ids; absent: every one.")
    expires_at = InstantField(required=False)
    status = WordField(("active", "expired", "revoked"), read_only=True)
    rotated_from = IdField(read_only=True, allow_null=True)
    revoked_at = InstantField(read_only=True, allow_null=True)
    last_used_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)


@extend_schema_serializer(component_name="ApiKey")
class ShownApiKeySerializer(ApiKeySerializer):
    """An API key without its secret. Null: of no member, for every agent or connection, without an end."""

    member = IdField(allow_null=True)
    agents = serializers.ListField(child=IdField(), allow_null=True)  # type: ignore[assignment]
    connections = serializers.ListField(child=IdField(), allow_null=True)  # type: ignore[assignment]
    expires_at = InstantField(allow_null=True)


@extend_schema_serializer(component_name="IssuedApiKey")
class IssuedApiKeySerializer(ShownApiKeySerializer):
    """A new API key: the only answer that holds its secret."""

    secret = TextField(read_only=True)


class ApiKeyChangeSerializer(StrictSerializer):
    """Changes of an API key."""

    name = TextField(required=False)
    scopes = serializers.ListField(child=TextField(), read_only=True)
    expires_at = InstantField(required=False, allow_null=True)


class RotationSerializer(StrictSerializer):
    """How long the old key goes on working."""

    overlap_seconds = WholeNumberField(minimum=0, maximum=MAX_OVERLAP_SECONDS, required=False)


class EventSerializer(serializers.Serializer[Any]):
    """An event. What its data holds depends on its type."""

    seq = WholeNumberField(minimum=1, maximum=2**63 - 1)
    stream = TextField()
    version = WholeNumberField(minimum=1, maximum=2**31 - 1)
    type = TextField()
    schema = WholeNumberField(minimum=1, maximum=2**15 - 1)
    data = FreeObjectField()  # type: ignore[assignment]
    actor = TextField()
    cause = TextField(allow_null=True)
    idempotency_key = TextField(allow_null=True)
    occurred_at = InstantField()
    recorded_at = InstantField()

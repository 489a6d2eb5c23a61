"""What requests to the ledger may hold and answers show."""

from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    IdField,
    InstantField,
    ReferenceField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from orgs.api.serializers import OrganizationSerializer

GRANT_KINDS = ("paid", "promotional")
GRANT_SCOPES = ("organization", "team", "agent", "workflow")


class NewOrganizationSerializer(OrganizationSerializer):
    """A new organization; only a postpaid one has a credit limit, absent: no limit."""

    currency = CurrencyField(required=False, default="USD")
    funding = WordField(("prepaid", "postpaid"), required=False, default="prepaid")


class GrantSerializer(StrictSerializer):
    """A credit grant: amounts in its currency; a lower priority is burnt first."""

    id = IdField(read_only=True)
    organization = IdField()
    amount = AmountField()
    currency = CurrencyField()
    kind = WordField(GRANT_KINDS)
    priority = WholeNumberField(minimum=-1000, maximum=1000, required=False, default=0)
    scope = WordField(GRANT_SCOPES, required=False, default="organization")
    scope_target = ReferenceField(required=False, help_text="Key or id of the team, agent or workflow.")
    effective_at = InstantField(required=False)
    expires_at = InstantField(required=False)
    reason = TextField(max_length=500)
    remaining = AmountField(read_only=True)
    held = AmountField(read_only=True)
    expired_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)


class BalanceSerializer(StrictSerializer):
    """Credit: posted - held, counting only grants that are live at `at`, is available; debt shuts the gate."""

    currency = CurrencyField(read_only=True)
    posted = AmountField(read_only=True)
    held = AmountField(read_only=True)
    available = AmountField(read_only=True)
    debt = AmountField(read_only=True)
    grants = serializers.ListField(child=GrantSerializer(), read_only=True)
    at = InstantField(read_only=True)

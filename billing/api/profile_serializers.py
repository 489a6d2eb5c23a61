"""What requests about billing profiles may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.seller_serializers import ADDRESS, CheckedField, CountryField
from billing.rules.profiles import (
    ANSWERS,
    COLLECTIONS,
    CONSOLIDATIONS,
    LONGEST_GRACE_HOURS,
    LONGEST_NET_DAYS,
    STATED_ANSWERS,
    read_language,
)
from billing.rules.wording import LANGUAGES
from common.api.serializers import (
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    KeyField,
    QuantityField,
    ReferenceField,
    StrictField,
    StrictSerializer,
    TextField,
    TimeZoneField,
    WholeNumberField,
    WordField,
)


@extend_schema_field({"type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$", "examples": ["en", "pt-BR"]})
class LanguageField(StrictField):
    """A language such as en or pt-BR."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_language, **kwargs)


@extend_schema_field({"type": "string", "examples": ["2026-01-31T00:00:00"]})
class WallTimeField(CheckedField):
    """A wall time without offset, in the organization's zone: whether it exists there, the operation checks."""


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "country": {"type": ["string", "null"], "pattern": "^[A-Z]{2}$"},
            "vat_id": {"type": ["string", "null"], "maxLength": 32},
            "exemption_code": {
                "type": ["string", "null"],
                "maxLength": 50,
                "description": "Only the platform: what frees the customer of tax.",
            },
            "vat_answer": {
                "type": "string",
                "enum": list(STATED_ANSWERS),
                "description": "Only the platform: what a person found out about the VAT id.",
            },
        },
    }
)
class TaxChangeField(CheckedField):
    """Changes of what tax depends on."""


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "maxLength": 200},
            "email": {"type": "string", "maxLength": 254},
            "address": ADDRESS,
        },
    }
)
class ContactField(CheckedField):
    """Where invoices go."""


class BillingProfileChangeSerializer(StrictSerializer):
    """Changes of how an organization is billed, from its next invoice on."""

    legal_entity = ReferenceField(
        required=False, allow_null=True, help_text="Only the platform: key or id; null: the default one."
    )
    net_days = WholeNumberField(
        minimum=0,
        maximum=LONGEST_NET_DAYS,
        required=False,
        allow_null=True,
        help_text="Only the platform. Null: as the plan says.",
    )
    grace_hours = WholeNumberField(
        minimum=0,
        maximum=LONGEST_GRACE_HOURS,
        required=False,
        allow_null=True,
        help_text="Only the platform: from draft to final invoice. Null: as the plan says.",
    )
    cycle_anchor = WallTimeField(
        required=False,
        allow_null=True,
        help_text="Only the platform: a wall time that a billing boundary falls on. Null: the calendar month.",
    )
    purchase_order = TextField(required=False, allow_null=True, help_text="Stands on every invoice.")
    consolidation = WordField(
        CONSOLIDATIONS,
        required=False,
        help_text="One invoice per customer, or per subscription and contract.",
    )
    language = LanguageField(
        required=False,
        help_text=f"Of documents and letters from the next invoice on: {', '.join(LANGUAGES)}; in any other they are "
        "written in English.",
    )
    collection = WordField(
        COLLECTIONS,
        required=False,
        allow_null=True,
        help_text="Whether an invoice is charged when it opens, or waits to be paid. Null: it is charged "
        "where there is a payment method.",
    )
    tax = TaxChangeField(required=False)
    contact = ContactField(required=False, help_text="Replaces all of it. Personal data: it can be erased.")


class TaxProfileSerializer(serializers.Serializer[Any]):
    """What a customer's tax depends on."""

    country = CountryField(allow_null=True)
    vat_id = TextField(allow_null=True)
    vat_answer = WordField(
        ANSWERS,
        help_text="Of the register: unknown: there is none to ask; not_asked: nothing depends on it.",
    )
    vat_checked_at = InstantField(allow_null=True)
    exemption_code = TextField(allow_null=True)


class BillingProfileSerializer(serializers.Serializer[Any]):
    """How an organization is billed. Version 0: it never said anything, these are the defaults."""

    organization = IdField()
    currency = CurrencyField()
    time_zone = TimeZoneField(help_text="The organization's.")
    legal_entity = KeyField(allow_null=True, help_text="Who sells; null: there is nobody yet.")
    is_default_entity = FlagField(help_text="Whether that is so because the profile names nobody.")
    net_days = WholeNumberField(minimum=0, maximum=LONGEST_NET_DAYS, allow_null=True)
    grace_hours = WholeNumberField(minimum=0, maximum=LONGEST_GRACE_HOURS, allow_null=True)
    cycle_anchor = WallTimeField(allow_null=True)
    purchase_order = TextField(allow_null=True)
    consolidation = WordField(CONSOLIDATIONS)
    language = LanguageField()
    document_language = WordField(
        LANGUAGES, help_text="In which documents and letters are written: that of `language`, or English."
    )
    collection = WordField(COLLECTIONS, allow_null=True)
    tax = TaxProfileSerializer()
    contact = ContactField()
    version = QuantityField()
    created_at = InstantField(allow_null=True)

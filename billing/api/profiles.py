"""/v1/billing-profile: how an organization is billed, to whom its invoices go, and what its tax depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.acting import BillingView
from billing.api.catalog import utc
from billing.api.profile_serializers import BillingProfileChangeSerializer, BillingProfileSerializer
from billing.operations.profiles import change_billing_profile, erase_billing_contact
from billing.operations.tax_provider import ask_vat_id
from billing.queries.profiles import billing_contact, billing_profile
from billing.queries.sellers import default_legal_entity, find_legal_entity
from billing.rules.countries import country
from billing.rules.profiles import MAX_CODE, PLATFORM_ONLY, STATED_ANSWERS, Contact
from billing.rules.sellers import MAX_VAT_ID, read_address
from billing.rules.wording import document_language
from common import fields
from common.api.answers import json_response
from common.bodies import BodyReader
from common.errors import Forbidden, InvalidDatetime, InvalidField
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.api.serializers import email
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import PLATFORM


@extend_schema_view(
    get=extend_schema(responses=BillingProfileSerializer, tags=["billing profile"]),
    patch=extend_schema(
        request=BillingProfileChangeSerializer, responses=BillingProfileSerializer, tags=["billing profile"]
    ),
)
class BillingProfileView(BillingView):
    """GET and PATCH /v1/billing-profile."""

    def get(self, request: Request) -> HttpResponse:
        """How the organization is billed; the defaults where it never said anything."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: show_profile(cur, organization)))

    def patch(self, request: Request) -> HttpResponse:
        """Change what is given. Terms, seller, cycle and what frees of tax are changed by the platform only."""
        values = checked(BillingProfileChangeSerializer, request, partial=True)
        organization = self.for_list()
        contact = read_contact(values.pop("contact")) if "contact" in values else None
        changes = {**values, **(read_tax(values.pop("tax")) if "tax" in values else {})}
        changes.pop("tax", None)
        if changes.get("cycle_anchor") is not None and type(changes["cycle_anchor"]) is not str:
            raise InvalidDatetime(pointer="/cycle_anchor")
        self._require_terms(changes)

        def operation(cur: Cursor) -> dict[str, Any]:
            change_billing_profile(cur, organization, changes, contact=contact, author=self.author)
            return show_profile(cur, organization)

        return self.idempotent(request, operation, status=200)

    def _require_terms(self, changes: Mapping[str, Any]) -> None:
        """Nobody grants itself longer terms or an exemption. Raises Forbidden."""
        named = sorted(PLATFORM_ONLY & changes.keys())
        if named and not self.caller.has_scope(PLATFORM):
            raise Forbidden(f"Only the platform changes {', '.join(named)}.")


@extend_schema_view(
    post=extend_schema(request=None, responses={200: BillingProfileSerializer}, tags=["billing profile"])
)
class ContactEraseView(BillingView):
    """POST /v1/billing-profile/erase-contact."""

    bodiless = ("POST",)

    def post(self, request: Request) -> HttpResponse:
        """Erase the name, e-mail and address that invoices go to. Issued invoices keep what they say."""
        refuse_fields(request)
        organization = self.for_list()

        def operation(cur: Cursor) -> dict[str, Any]:
            erase_billing_contact(cur, organization, author=self.author)
            return show_profile(cur, organization)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: BillingProfileSerializer}, tags=["billing profile"])
)
class VatIdCheckView(BillingView):
    """POST /v1/billing-profile/check-vat-id."""

    bodiless = ("POST",)

    def post(self, request: Request) -> HttpResponse:
        """Ask the tax provider now about a VAT id that is pending or unknown. It may stay pending."""
        refuse_fields(request)
        organization = self.for_list()
        run_in_transaction(lambda cur: find_organization(cur, organization=organization))
        ask_vat_id(organization)
        return json_response(run_in_transaction(lambda cur: show_profile(cur, organization)))


def read_contact(value: object) -> Contact:
    """Where invoices go, as a body states it. Raises what the checks raise, by place."""
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer="/contact")
    reader = BodyReader(value, allowed={"name", "email", "address"}, pointer="/contact")
    contact = Contact(
        name=reader.defaulted("name", fields.text, "", max_length=200, min_length=0),
        email=reader.defaulted("email", email, ""),
        address=reader.defaulted("address", read_address, {}),
    )
    reader.check()
    return contact


def read_tax(value: object) -> dict[str, Any]:
    """The changes of what tax depends on, by field. Raises what the checks raise, by place."""
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer="/tax")
    reader = BodyReader(value, allowed={"country", "vat_id", "exemption_code", "vat_answer"}, pointer="/tax")
    found = {
        "country": reader.optional("country", country),
        "vat_id": reader.optional("vat_id", fields.text, max_length=MAX_VAT_ID),
        "exemption_code": reader.optional("exemption_code", fields.key, max_length=MAX_CODE),
    }
    if "vat_answer" in reader:
        found["vat_answer"] = reader.required("vat_answer", fields.choice, options=STATED_ANSWERS)
    reader.check()
    return {name: stated for name, stated in found.items() if name in reader}


def show_profile(cur: Cursor, organization: UUID) -> dict[str, Any]:
    """A profile as answers show it. Raises NotFound."""
    owner = find_organization(cur, organization=organization)
    profile, contact = billing_profile(cur, organization), billing_contact(cur, organization)
    named, tax, anchor = profile.legal_entity_id, profile.tax, profile.cycle_anchor
    entity = default_legal_entity(cur) if named is None else find_legal_entity(cur, str(named))
    return {
        "organization": organization,
        "currency": owner.currency,
        "time_zone": owner.time_zone,
        "legal_entity": None if entity is None else entity.key,
        "is_default_entity": named is None,
        "net_days": profile.net_days,
        "grace_hours": profile.grace_hours,
        "cycle_anchor": None if anchor is None else anchor.isoformat(),
        "purchase_order": profile.purchase_order,
        "consolidation": profile.consolidation,
        "language": profile.language,
        "document_language": document_language(profile.language),
        "collection": profile.collection,
        "tax": {
            "country": tax.country,
            "vat_id": tax.vat_id,
            "vat_answer": tax.vat_answer,
            "vat_checked_at": utc(tax.vat_checked_at),
            "exemption_code": tax.exemption_code,
        },
        "contact": {"name": contact.name, "email": contact.email, "address": dict(contact.address)},
        "version": profile.version,
        "created_at": utc(profile.created_at),
    }

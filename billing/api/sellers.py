"""/v1/legal-entities: who sells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import CatalogView, path_name, utc
from billing.api.seller_serializers import LegalEntityChangeSerializer, LegalEntitySerializer
from billing.operations.sellers import archive_legal_entity, change_legal_entity, create_legal_entity
from billing.queries.sellers import find_legal_entity, list_legal_entities
from billing.rules.sellers import EntityTerms, LegalEntity, read_address, read_vat_ids
from common.api.answers import json_response
from common.api.paging import envelope
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.rules.scopes import PLATFORM

INNER: Final[Mapping[str, Callable[..., Any]]] = {"address": read_address, "vat_ids": read_vat_ids}


class SellerView(CatalogView):
    """Legal entities are the platform's."""

    required_scope = PLATFORM


@extend_schema_view(
    get=extend_schema(responses=LegalEntitySerializer(many=True), tags=["legal entities"]),
    post=extend_schema(
        request=LegalEntitySerializer, responses={201: LegalEntitySerializer}, tags=["legal entities"]
    ),
)
class LegalEntityListView(SellerView):
    """GET and POST /v1/legal-entities."""

    query_parameters = ("archived",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The legal entities, newest first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_legal_entities(cur, archived=archived, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_entity)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a legal entity; the first one is the default."""
        values = with_inner(checked(LegalEntitySerializer, request))
        key, terms = values.pop("key"), EntityTerms(**values)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_entity(create_legal_entity(cur, key=key, terms=terms, author=self.author))

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=LegalEntitySerializer, tags=["legal entities"]),
    patch=extend_schema(
        request=LegalEntityChangeSerializer, responses=LegalEntitySerializer, tags=["legal entities"]
    ),
)
class LegalEntityDetailView(SellerView):
    """GET and PATCH /v1/legal-entities/{key or id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One legal entity."""
        key = path_name(name)
        return json_response(run_in_transaction(lambda cur: show_entity(find_legal_entity(cur, key))))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change it, from the next invoice on; issued ones stay."""
        changes = with_inner(checked(LegalEntityChangeSerializer, request, partial=True))
        key, is_default = path_name(name), changes.pop("is_default", None)

        def operation(cur: Cursor) -> dict[str, Any]:
            changed = change_legal_entity(
                cur, entity=key, changes=changes, is_default=is_default, author=self.author
            )
            return show_entity(changed)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: LegalEntitySerializer}, tags=["legal entities"])
)
class LegalEntityArchiveView(SellerView):
    """POST /v1/legal-entities/{key or id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End it; its invoices stay. Not the default one, and none that billing profiles name."""
        refuse_fields(request)
        key = path_name(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_entity(archive_legal_entity(cur, entity=key, author=self.author))

        return self.idempotent(request, operation, status=200)


def with_inner(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a body with the objects in it checked. Raises what their checks raise, by place."""
    return {
        name: INNER[name](value, pointer=f"/{name}") if name in INNER else value
        for name, value in values.items()
    }


def show_entity(entity: LegalEntity) -> dict[str, Any]:
    """A legal entity as answers show it."""
    terms = entity.terms
    return {
        "id": entity.id,
        "key": entity.key,
        "name": terms.name,
        "country": terms.country,
        "currency": terms.currency,
        "address": dict(terms.address),
        "vat_ids": dict(terms.vat_ids),
        "tax_area": entity.tax_area,
        "number_pattern": terms.number_pattern,
        "invoice_series": terms.invoice_series,
        "credit_note_series": terms.credit_note_series,
        "is_default": entity.is_default,
        "status": "active" if entity.archived_at is None else "archived",
        "version": entity.version,
        "created_at": utc(entity.created_at),
        "archived_at": utc(entity.archived_at),
    }

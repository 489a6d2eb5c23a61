"""/v1/listings and /v1/revenue-shares: what partners offer, and what the platform keeps of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import InvalidParameter
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.operations.locks import lock_organization
from orgs.rules.scopes import PAYOUTS_READ, PAYOUTS_WRITE, PLATFORM
from payouts.api.representations import show_listing, show_share
from payouts.api.serializers import ListingChangeSerializer, ListingSerializer, RevenueShareSerializer
from payouts.operations.listings import archive_listing, change_listing, publish_listing
from payouts.operations.publishing import publish_due
from payouts.operations.shares import publish_share, withdraw_share
from payouts.queries.listings import find_listing, keys_of, list_listings
from payouts.queries.references import references_of
from payouts.queries.shares import list_shares
from payouts.rules.references import PARTY
from payouts.rules.shares import RevenueShare, ShareTerms

TAGS: Final = ["listings"]
_NAMES: Final = ("fee_rate", "fixed", "tiers", "minimum_fee", "splits", "promotional")


class ListingView(OrgsView):
    """A view of a partner's own listings."""

    required_scope = {"GET": PAYOUTS_READ, "POST": PAYOUTS_WRITE, "PATCH": PAYOUTS_WRITE}

    def partner(self, name: str) -> UUID:
        """The partner of the listing that the path names."""
        return self.for_object(name, lambda cur, identifier: find_listing(cur, str(identifier)).organization)


@extend_schema_view(
    get=extend_schema(responses=ListingSerializer(many=True), tags=TAGS),
    post=extend_schema(request=ListingSerializer, responses={201: ListingSerializer}, tags=TAGS),
)
class ListingListView(ListingView):
    """GET and POST /v1/listings."""

    query_parameters = ("archived",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The partner's listings, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_listings(
                cur, organization=organization, archived=archived, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_listing)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Offer an agent. Its key is one of all partners', for ever: agents of customers name it."""
        values = checked(ListingSerializer, request)
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            made = publish_listing(
                cur,
                organization=organization,
                key=values["key"],
                name=values["name"],
                description=values.get("description", ""),
                author=self.author,
            )
            return show_listing(made)

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=ListingSerializer, tags=TAGS),
    patch=extend_schema(request=ListingChangeSerializer, responses=ListingSerializer, tags=TAGS),
)
class ListingDetailView(ListingView):
    """GET and PATCH /v1/listings/{key or id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One listing of the partner."""
        organization = self.partner(name)
        return json_response(
            run_in_transaction(lambda cur: show_listing(find_listing(cur, name, organization=organization)))
        )

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change its name or description."""
        changes = checked(ListingChangeSerializer, request, partial=True)
        organization = self.partner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            changed = change_listing(
                cur, organization=organization, name=name, changes=changes, author=self.author
            )
            return show_listing(changed)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(post=extend_schema(request=None, responses={200: ListingSerializer}, tags=TAGS))
class ListingArchiveView(ListingView):
    """POST /v1/listings/{key or id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Let no more agents name it; those that do go on."""
        refuse_fields(request)
        organization = self.partner(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            ended = archive_listing(cur, organization=organization, name=name, author=self.author)
            return show_listing(ended)

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    get=extend_schema(responses=RevenueShareSerializer(many=True), tags=TAGS),
    post=extend_schema(request=RevenueShareSerializer, responses={201: RevenueShareSerializer}, tags=TAGS),
)
class RevenueShareListView(OrgsView):
    """GET and POST /v1/revenue-shares."""

    required_scope = {"GET": PAYOUTS_READ, "POST": PLATFORM}
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The terms of a partner, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_shares(cur, organization=organization, before=before, limit=page.fetch)
            own = not self.caller.has_scope(PLATFORM)
            shown = {row.id: _shown(cur, _veiled(cur, row) if own else row) for row in rows}
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Set terms from now or later on; what was earned stays."""
        values = checked(RevenueShareSerializer, request)
        organization = values["organization"]
        terms = ShareTerms(**{name: values[name] for name in _NAMES if values.get(name) is not None})

        def operation(cur: Cursor) -> dict[str, Any]:
            made = publish_share(
                cur,
                organization=organization,
                terms=terms,
                listing=values.get("listing"),
                plan=values.get("plan"),
                valid_from=values.get("valid_from"),
                author=self.author,
            )
            return _shown(cur, made)

        answer = self.idempotent(request, operation)
        if answer.status_code == 201:
            publish_due(organization)
        return answer


@extend_schema_view(post=extend_schema(request=None, responses={200: RevenueShareSerializer}, tags=TAGS))
class RevenueShareWithdrawView(OrgsView):
    """POST /v1/revenue-shares/{id}/withdraw."""

    required_scope = PLATFORM
    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take back terms that have not begun; those that have are followed by others."""
        refuse_fields(request)
        share, organization = path_id(name), self.query.uuid("organization")
        if organization is None:
            raise InvalidParameter("Name the partner: ?organization=.")

        def operation(cur: Cursor) -> dict[str, Any]:
            return _shown(
                cur, withdraw_share(cur, organization=organization, share=share, author=self.author)
            )

        answer = self.idempotent(request, operation, status=200)
        if answer.status_code == 200:
            publish_due(organization)
        return answer


def _veiled(cur: Cursor, share: RevenueShare) -> RevenueShare:
    """As its partner reads it: who shares with it stands there under a reference."""
    names, terms = references_of(cur, share.organization), share.terms
    splits = tuple(
        (one if one == share.organization else names.of(PARTY, one), weight) for one, weight in terms.splits
    )
    return replace(share, terms=replace(terms, splits=splits))


def _shown(cur: Cursor, share: RevenueShare) -> dict[str, Any]:
    key = None if share.listing is None else keys_of(cur, [share.listing]).get(share.listing)
    return show_share(share, key=key, now=lock_organization(cur, share.organization or PLATFORM_ID).now)

"""/v1/coupons, which the platform offers, and /v1/coupon-redemptions, which customers have."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.acting import BillingView
from billing.api.catalog import CatalogView, path_name, utc
from billing.api.coupon_serializers import (
    CouponChangeSerializer,
    CouponSerializer,
    NewRedemptionSerializer,
    RedemptionSerializer,
)
from billing.operations.coupons import (
    NewCoupon,
    archive_coupon,
    change_coupon,
    create_coupon,
    end_redemption,
    redeem_coupon,
)
from billing.queries.coupons import (
    find_coupon,
    find_redemption,
    list_coupons,
    list_redemptions,
    organization_of_redemption,
    redemption_counts,
)
from billing.rules.couponterms import CouponRow, Redemption, parse_terms, write_terms
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import PLATFORM


class CouponView(CatalogView):
    """Coupons are seen and offered by the platform alone: whoever knows a code can redeem it."""

    required_scope = PLATFORM


@extend_schema_view(
    get=extend_schema(responses=CouponSerializer(many=True), tags=["coupons"]),
    post=extend_schema(request=CouponSerializer, responses={201: CouponSerializer}, tags=["coupons"]),
)
class CouponListView(CouponView):
    """GET and POST /v1/coupons."""

    query_parameters = ("archived",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The coupons, newest first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        archived = self.query.flag("archived")

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_coupons(cur, archived=archived, before=before, limit=page.fetch)
            shown = {row.id: show for row, show in zip(rows, show_coupons(cur, rows), strict=True)}
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Offer a coupon."""
        values = checked(CouponSerializer, request)
        new = NewCoupon(
            code=values["code"],
            name=values["name"],
            terms=parse_terms(values["terms"], "/terms"),
            redeem_by=values.get("redeem_by"),
            max_redemptions=values.get("max_redemptions"),
        )

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_coupons(cur, [create_coupon(cur, new, author=self.author)])[0]

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=CouponSerializer, tags=["coupons"]),
    patch=extend_schema(request=CouponChangeSerializer, responses=CouponSerializer, tags=["coupons"]),
)
class CouponDetailView(CouponView):
    """GET and PATCH /v1/coupons/{code or id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One coupon."""
        code = path_name(name)
        return json_response(run_in_transaction(lambda cur: show_coupons(cur, [find_coupon(cur, code)])[0]))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change its name, its last day or how often it can be redeemed."""
        changes, code = checked(CouponChangeSerializer, request, partial=True), path_name(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            changed = change_coupon(cur, coupon=code, changes=changes, author=self.author)
            return show_coupons(cur, [changed])[0]

        return self.idempotent(request, operation, status=200)


@extend_schema_view(post=extend_schema(request=None, responses={200: CouponSerializer}, tags=["coupons"]))
class CouponArchiveView(CouponView):
    """POST /v1/coupons/{code or id}/archive."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the coupon: nobody redeems it any more, who has it keeps it."""
        refuse_fields(request)
        code = path_name(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_coupons(cur, [archive_coupon(cur, coupon=code, author=self.author)])[0]

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    get=extend_schema(responses=RedemptionSerializer(many=True), tags=["coupons"]),
    post=extend_schema(
        request=NewRedemptionSerializer, responses={201: RedemptionSerializer}, tags=["coupons"]
    ),
)
class RedemptionListView(BillingView):
    """GET and POST /v1/coupon-redemptions."""

    query_parameters = ("status",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The coupons that the organization has, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=("active", "ended"))

        def read(cur: Cursor) -> dict[str, Any]:
            find_organization(cur, organization=organization)
            before = UUID(page.position[0]) if page.position else None
            rows = list_redemptions(
                cur, organization=organization, status=status, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_redemption)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Redeem a coupon for everything that the organization is billed for and that takes coupons."""
        values = checked(NewRedemptionSerializer, request)
        organization = self.for_new(values)
        try:
            code = path_name(values["coupon"])
        except NotFound:
            raise NotFound("There is no such coupon.", pointer="/coupon") from None

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_redemption(redeem_coupon(cur, organization, code, author=self.author))

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=RedemptionSerializer, tags=["coupons"]))
class RedemptionDetailView(BillingView):
    """GET /v1/coupon-redemptions/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One coupon that the organization has."""
        redemption = path_id(name)
        organization = self.for_object(name, organization_of_redemption)

        def read(cur: Cursor) -> dict[str, Any]:
            return show_redemption(find_redemption(cur, organization=organization, redemption=redemption))

        return json_response(run_in_transaction(read))


@extend_schema_view(post=extend_schema(request=None, responses={200: RedemptionSerializer}, tags=["coupons"]))
class RedemptionEndView(BillingView):
    """POST /v1/coupon-redemptions/{id}/end."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Do without the coupon from the next invoice on. Ending an ended one changes nothing."""
        refuse_fields(request)
        redemption = path_id(name)
        organization = self.for_object(name, organization_of_redemption)

        def operation(cur: Cursor) -> dict[str, Any]:
            return show_redemption(end_redemption(cur, organization, redemption, author=self.author))

        return self.idempotent(request, operation, status=200)


def show_coupons(cur: Cursor, coupons: list[CouponRow]) -> list[dict[str, Any]]:
    """Coupons as answers show them, in their order."""
    counts = redemption_counts(cur, [coupon.id for coupon in coupons])
    return [
        {
            "id": coupon.id,
            "code": coupon.code,
            "name": coupon.name,
            "terms": write_terms(coupon.terms),
            "redeem_by": utc(coupon.redeem_by),
            "max_redemptions": coupon.max_redemptions,
            "redemptions": counts.get(coupon.id, 0),
            "status": "active" if coupon.archived_at is None else "archived",
            "version": coupon.version,
            "created_at": utc(coupon.created_at),
            "archived_at": utc(coupon.archived_at),
        }
        for coupon in coupons
    ]


def show_redemption(row: Redemption) -> dict[str, Any]:
    """A redemption as answers show it."""
    return {
        "id": row.id,
        "organization": row.organization,
        "coupon": row.code,
        "coupon_id": row.coupon_id,
        "subscription": row.subscription_id,
        "terms": write_terms(row.terms),
        "status": row.status,
        "redeemed_at": utc(row.redeemed_at),
        "ended_at": utc(row.ended_at),
    }

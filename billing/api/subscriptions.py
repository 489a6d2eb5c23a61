"""/v1/subscriptions: what a customer has subscribed to, and every change of it (S72)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api import subscription_serializers as shapes
from billing.api.acting import BillingView
from billing.api.subscription_shows import (
    show_history,
    show_preview,
    show_subscription,
    show_subscriptions,
)
from billing.operations.subscriptions.changing import (
    AddOnChange,
    PlanChange,
    QuantityChange,
    Wanted,
    change_subscription,
    preview_change,
)
from billing.operations.subscriptions.coupons import apply_coupon
from billing.operations.subscriptions.ending import (
    Cancellation,
    cancel_subscription,
    pause_subscription,
    resume_subscription,
    uncancel_subscription,
)
from billing.operations.subscriptions.starting import NewStart, start_subscription
from billing.queries import subscriptions as queries
from billing.rules.subscriptions.row import Subscription
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import Forbidden, InvalidField
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.rules.scopes import PLATFORM

SHOWN: Final = shapes.SubscriptionSerializer
STATUS: Final = OpenApiParameter("status", str, enum=queries.STATUSES)
Act = Callable[[Cursor, UUID, UUID], Subscription]


class SubscriptionView(BillingView):
    """What the views of subscriptions share."""

    money_moves = True

    @property
    def is_platform(self) -> bool:
        """Whether the seller calls, who alone gives longer trials, redeems a coupon for several
        subscriptions, credits what is unused and changes otherwise than the plan says."""
        return self.caller.has_scope(PLATFORM)

    def place(self, name: str) -> tuple[UUID, UUID]:
        """The organization, and the subscription in the path. Raises NotFound."""
        identifier = path_id(name)
        return self.for_object(name, queries.organization_of_subscription), identifier

    def act(self, request: Request, name: str, act: Act) -> HttpResponse:
        """Have one operation change the subscription, and show it."""
        place = self.place(name)

        def run(cur: Cursor) -> dict[str, Any]:
            return show_subscription(cur, act(cur, *place))

        return self.idempotent(request, run, status=200)


@extend_schema_view(
    get=extend_schema(parameters=[STATUS], responses=SHOWN(many=True), tags=["subscriptions"]),
    post=extend_schema(
        request=shapes.NewSubscriptionSerializer, responses={201: SHOWN}, tags=["subscriptions"]
    ),
)
class SubscriptionListView(SubscriptionView):
    """GET and POST /v1/subscriptions."""

    query_parameters = ("status",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's subscriptions, newest first, also those that have ended."""
        organization = self.for_list()
        status = self.query.choice("status", options=queries.STATUSES)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_subscriptions(
                cur,
                organization=organization,
                status=status,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            shown = dict(zip((row.id for row in rows), show_subscriptions(cur, rows), strict=True))
            return envelope(
                rows, page=page, position=lambda row: (str(row.id),), show=lambda row: shown[row.id]
            )

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Subscribe to the version of a plan that is on sale, now or at a date to come. The first period in advance is
        owed at once, and its credit is granted, but for what other subscriptions give away for the same time."""
        values = checked(shapes.NewSubscriptionSerializer, request)
        organization = self.for_new(values)
        values.pop("organization", None)
        new = NewStart(**{**values, "quantities": _exact(values.get("quantities"))})

        def operation(cur: Cursor) -> dict[str, Any]:
            made = start_subscription(
                cur, organization, new, is_bound=not self.is_platform, author=self.author
            )
            return show_subscription(cur, made.row)

        return self.idempotent(request, operation)


@extend_schema_view(get=extend_schema(responses=SHOWN, tags=["subscriptions"]))
class SubscriptionDetailView(SubscriptionView):
    """GET /v1/subscriptions/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One subscription."""
        organization, subscription = self.place(name)

        def read(cur: Cursor) -> dict[str, Any]:
            found = queries.find_subscription(cur, organization=organization, subscription=subscription)
            return show_subscription(cur, found)

        return json_response(run_in_transaction(read))


@extend_schema_view(
    get=extend_schema(responses=shapes.SubscriptionEventSerializer(many=True), tags=["subscriptions"])
)
class SubscriptionHistoryView(SubscriptionView):
    """GET /v1/subscriptions/{id}/history."""

    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """Everything that happened to the subscription, newest first, with the items that it made."""
        organization, subscription = self.place(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            queries.find_subscription(cur, organization=organization, subscription=subscription)
            rows = queries.history_of(
                cur,
                organization=organization,
                subscription=subscription,
                before=page.position[0] if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (row.version,), show=show_history)

        return json_response(run_in_transaction(read))


class ChangingView(SubscriptionView):
    """A view whose body states a change of what is subscribed to."""

    def change(self, request: Request, name: str, wanted: Wanted) -> HttpResponse:
        """Have it made, or let it wait."""

        def act(cur: Cursor, organization: UUID, subscription: UUID) -> Subscription:
            bound = not self.is_platform
            return change_subscription(
                cur, organization, subscription, wanted, is_bound=bound, author=self.author
            )[0]

        return self.act(request, name, act)


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionChangeSerializer, responses={200: SHOWN}, tags=["subscriptions"]
    )
)
class SubscriptionChangeView(ChangingView):
    """POST /v1/subscriptions/{id}/change."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Change plan, quantities or add-ons. A change that waits is replaced; the present selection drops it. A mode
        that gives the customer more than the plan's own is the platform's alone (403)."""
        return self.change(request, name, _plan_change(request))


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionChangeSerializer,
        responses={200: shapes.ChangePreviewSerializer},
        tags=["subscriptions"],
    )
)
class SubscriptionPreviewView(SubscriptionView):
    """POST /v1/subscriptions/{id}/change/preview."""

    money_moves = False

    def post(self, request: Request, name: str) -> HttpResponse:
        """What the same change would credit, charge, grant and take back now. Nothing is written."""
        wanted = _plan_change(request)
        place = self.place(name)

        def read(cur: Cursor) -> dict[str, Any]:
            row, decision = preview_change(cur, *place, wanted, is_bound=not self.is_platform)
            return show_preview(cur, row, decision, datetime.now(UTC))

        return json_response(run_in_transaction(read))


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionQuantitySerializer, responses={200: SHOWN}, tags=["subscriptions"]
    )
)
class SubscriptionQuantityView(ChangingView):
    """POST /v1/subscriptions/{id}/quantity."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Change quantities of licensed charges; those that are not named stay."""
        values = checked(shapes.SubscriptionQuantitySerializer, request)
        quantities = _exact(values.pop("quantities"))
        return self.change(request, name, QuantityChange(quantities, **values))


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionAddOnsSerializer, responses={200: SHOWN}, tags=["subscriptions"]
    )
)
class SubscriptionAddOnsView(ChangingView):
    """POST /v1/subscriptions/{id}/add-ons."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Subscribe to add-ons, or leave them."""
        values = checked(shapes.SubscriptionAddOnsSerializer, request)
        if not values.get("add") and not values.get("remove"):
            raise InvalidField("Name an add-on to add or to remove.", pointer="/add")
        values["quantities"] = _exact(values.get("quantities"))
        return self.change(request, name, AddOnChange(**values))


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionPauseSerializer, responses={200: SHOWN}, tags=["subscriptions"]
    )
)
class SubscriptionPauseView(SubscriptionView):
    """POST /v1/subscriptions/{id}/pause."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Pause an active subscription: periods that begin in the pause are not billed."""
        values = checked(shapes.SubscriptionPauseSerializer, request)

        def act(cur: Cursor, organization: UUID, subscription: UUID) -> Subscription:
            return pause_subscription(cur, organization, subscription, **values, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(post=extend_schema(request=None, responses={200: SHOWN}, tags=["subscriptions"]))
class SubscriptionResumeView(SubscriptionView):
    """POST /v1/subscriptions/{id}/resume."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the pause: the rest of a period that was not billed is owed now."""
        refuse_fields(request)

        def act(cur: Cursor, organization: UUID, subscription: UUID) -> Subscription:
            return resume_subscription(cur, organization, subscription, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionCancelSerializer, responses={200: SHOWN}, tags=["subscriptions"]
    )
)
class SubscriptionCancelView(SubscriptionView):
    """POST /v1/subscriptions/{id}/cancel."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the subscription now, at the end of its period or trial, or at a date."""
        values = checked(shapes.SubscriptionCancelSerializer, request)
        wanted = Cancellation(**values)
        if (wanted.when == "at") != (wanted.at is not None):
            raise InvalidField("A cancellation at a date, and no other, names it.", pointer="/at")
        if wanted.credit_unused and not self.is_platform:
            raise Forbidden("Only the platform credits what is unused.")

        def act(cur: Cursor, organization: UUID, subscription: UUID) -> Subscription:
            return cancel_subscription(cur, organization, subscription, wanted, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(post=extend_schema(request=None, responses={200: SHOWN}, tags=["subscriptions"]))
class SubscriptionUncancelView(SubscriptionView):
    """POST /v1/subscriptions/{id}/uncancel."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Let the subscription go on whose cancellation waits."""
        refuse_fields(request)

        def act(cur: Cursor, organization: UUID, subscription: UUID) -> Subscription:
            return uncancel_subscription(cur, organization, subscription, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(
    post=extend_schema(
        request=shapes.SubscriptionCouponSerializer, responses={200: SHOWN}, tags=["subscriptions"]
    )
)
class SubscriptionCouponsView(SubscriptionView):
    """POST /v1/subscriptions/{id}/coupons."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Redeem a coupon for the periods that begin from now on. For more than one subscription of an organization
        only the platform redeems it (409)."""
        code = checked(shapes.SubscriptionCouponSerializer, request)["coupon"]

        def act(cur: Cursor, organization: UUID, subscription: UUID) -> Subscription:
            bound = not self.is_platform
            return apply_coupon(cur, organization, subscription, code, is_bound=bound, author=self.author)

        return self.act(request, name, act)


def _plan_change(request: Request) -> PlanChange:
    values = checked(shapes.SubscriptionChangeSerializer, request)
    if not {"plan", "quantities", "add_ons"} & values.keys():
        raise InvalidField("Name a plan, quantities or add-ons.", pointer="/plan")
    return PlanChange(**{**values, "quantities": _exact(values.get("quantities"))})


def _exact(quantities: object) -> dict[str, Fraction]:
    """The quantities of a body, checked. Raises InvalidField and InvalidText."""
    if quantities is None:
        return {}
    found = shapes.quantities(quantities, pointer="/quantities")
    return {key: Fraction(held) for key, held in found.items()}

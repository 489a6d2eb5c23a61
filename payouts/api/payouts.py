"""/v1/partner/payouts and /v1/payouts: what partners are paid, asked for by themselves and decided by the platform."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import CurrencyMismatch, InvalidField
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from orgs.rules.scopes import PLATFORM
from payouts.api.acting import PartnerMoneyView, PlatformPayoutView
from payouts.api.payout_serializers import (
    NewPayoutSerializer,
    PayoutBatchSerializer,
    PayoutReasonSerializer,
    PayoutSerializer,
)
from payouts.api.payout_shows import show_batch, show_payout
from payouts.operations.paying import deciding
from payouts.operations.paying.batches import request_batch
from payouts.operations.paying.requesting import request_payout
from payouts.queries.batches import find_batch
from payouts.queries.partners import require_partner
from payouts.queries.payouts import find_payout, list_payouts, organization_of_payout
from payouts.rules.paying.row import PLATFORM_REQUEST, REQUEST
from payouts.rules.paying.states import STATES

_STATUS = OpenApiParameter("status", str, enum=STATES)


@extend_schema_view(
    get=extend_schema(parameters=[_STATUS], responses=PayoutSerializer(many=True), tags=["payouts"]),
    post=extend_schema(request=NewPayoutSerializer, responses={201: PayoutSerializer}, tags=["payouts"]),
)
class PartnerPayoutListView(PartnerMoneyView):
    """GET and POST /v1/partner/payouts."""

    query_parameters = ("status",)
    paged = True
    money_moves = True

    def get(self, request: Request) -> HttpResponse:
        """The partner's payouts, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATES)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_payouts(
                cur,
                organization=organization,
                state=status,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_payout)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Request a payout. Its amount leaves what can be withdrawn at once; it is sent after the answer, or waits as
        its status and hold say."""
        values = checked(NewPayoutSerializer, request)
        organization = self.for_new(values)
        # The platform's key asks on the platform's behalf by whichever address: two persons stand behind that.
        cause = PLATFORM_REQUEST if self.caller.has_scope(PLATFORM) else REQUEST
        return self.idempotent(
            request, lambda cur: show_payout(_requested(cur, organization, values, cause, self.author))
        )


@extend_schema_view(get=extend_schema(responses=PayoutSerializer, tags=["payouts"]))
class PartnerPayoutDetailView(PartnerMoneyView):
    """GET /v1/partner/payouts/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One payout of the partner."""
        payout, organization = path_id(name), self.for_object(name, organization_of_payout)
        return json_response(
            run_in_transaction(lambda cur: show_payout(find_payout(cur, payout, organization=organization)))
        )


@extend_schema_view(post=extend_schema(request=None, responses={200: PayoutSerializer}, tags=["payouts"]))
class PartnerPayoutCancelView(PartnerMoneyView):
    """POST /v1/partner/payouts/{id}/cancel."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Cancel a payout that was not sent yet; its amount can be withdrawn again at once."""
        refuse_fields(request)
        payout, organization = path_id(name), self.for_object(name, organization_of_payout)
        return self.idempotent(
            request,
            lambda cur: show_payout(
                deciding.cancel_payout(cur, payout=payout, organization=organization, author=self.author)
            ),
            status=200,
        )


@extend_schema_view(
    get=extend_schema(
        parameters=[_STATUS, OpenApiParameter("batch", str)],
        responses=PayoutSerializer(many=True),
        tags=["payouts"],
    ),
    post=extend_schema(request=NewPayoutSerializer, responses={201: PayoutSerializer}, tags=["payouts"]),
)
class PayoutListView(PlatformPayoutView):
    """GET and POST /v1/payouts."""

    query_parameters = ("status", "batch")
    paged = True
    money_moves = True

    def get(self, request: Request) -> HttpResponse:
        """Payouts of all partners or of one, newest first."""
        page = self.query.page(organization=self.caller.organization, path=request.path)
        status = self.query.choice("status", options=STATES)
        organization, batch = self.query.uuid("organization"), self.query.uuid("batch")

        def read(cur: Cursor) -> dict[str, Any]:
            rows = list_payouts(
                cur,
                organization=organization,
                state=status,
                batch=batch,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_payout)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Pay one partner."""
        values = checked(NewPayoutSerializer, request)
        organization = self.for_new(values)
        return self.idempotent(
            request,
            lambda cur: show_payout(_requested(cur, organization, values, PLATFORM_REQUEST, self.author)),
        )


@extend_schema_view(get=extend_schema(responses=PayoutSerializer, tags=["payouts"]))
class PayoutDetailView(PlatformPayoutView):
    """GET /v1/payouts/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One payout."""
        payout = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_payout(find_payout(cur, payout))))


@extend_schema_view(
    post=extend_schema(request=None, responses={201: PayoutBatchSerializer}, tags=["payouts"])
)
class PayoutBatchView(PlatformPayoutView):
    """POST /v1/payouts/batch."""

    bodiless = ("POST",)
    money_moves = True

    def post(self, request: Request) -> HttpResponse:
        """Pay every partner what it can withdraw. The payouts are made after the answer, one for each partner."""
        refuse_fields(request)
        return self.idempotent(request, lambda cur: show_batch(request_batch(cur, author=self.author)))


@extend_schema_view(get=extend_schema(responses=PayoutBatchSerializer, tags=["payouts"]))
class PayoutBatchDetailView(PlatformPayoutView):
    """GET /v1/payouts/batches/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """How far a batch is; its payouts: GET /v1/payouts?batch=."""
        batch = path_id(name)
        return json_response(run_in_transaction(lambda cur: show_batch(find_batch(cur, batch))))


@extend_schema_view(post=extend_schema(request=None, responses={200: PayoutSerializer}, tags=["payouts"]))
class PayoutApproveView(PlatformPayoutView):
    """POST /v1/payouts/{id}/approve."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Approve a payout above the limit, as another person than the one who requested it. A key without a member
        stands for no person: what one asked for on the platform's behalf waits for two persons, one after the
        other."""
        refuse_fields(request)
        return self.act(
            request,
            name,
            lambda cur, payout: deciding.approve_payout(cur, payout=payout, author=self.author),
        )


@extend_schema_view(
    post=extend_schema(request=PayoutReasonSerializer, responses={200: PayoutSerializer}, tags=["payouts"])
)
class PayoutRejectView(PlatformPayoutView):
    """POST /v1/payouts/{id}/reject."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Reject a payout that was not sent yet: it is canceled, and the partner reads why."""
        values = checked(PayoutReasonSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, payout: deciding.cancel_payout(cur, payout=payout, author=self.author, **values),
        )


@extend_schema_view(
    post=extend_schema(request=PayoutReasonSerializer, responses={200: PayoutSerializer}, tags=["payouts"])
)
class PayoutHoldView(PlatformPayoutView):
    """POST /v1/payouts/{id}/hold."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Hold a payout that was not sent yet until somebody releases it."""
        values = checked(PayoutReasonSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, payout: deciding.hold_payout(cur, payout=payout, author=self.author, **values),
        )


@extend_schema_view(post=extend_schema(request=None, responses={200: PayoutSerializer}, tags=["payouts"]))
class PayoutReleaseView(PlatformPayoutView):
    """POST /v1/payouts/{id}/release."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Let a held payout go on: to a second person above the limit, otherwise to be sent. What its account hinders
        holds it still."""
        refuse_fields(request)
        return self.act(
            request,
            name,
            lambda cur, payout: deciding.release_payout(cur, payout=payout, author=self.author),
        )


@extend_schema_view(post=extend_schema(request=None, responses={200: PayoutSerializer}, tags=["payouts"]))
class PayoutRetryView(PlatformPayoutView):
    """POST /v1/payouts/{id}/retry."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Try now what waits for another try. A payout that failed is not sent again: the next one is a new payout."""
        refuse_fields(request)
        return self.act(
            request,
            name,
            lambda cur, payout: deciding.retry_payout(cur, payout=payout, author=self.author),
        )


@extend_schema_view(
    post=extend_schema(request=PayoutReasonSerializer, responses={200: PayoutSerializer}, tags=["payouts"])
)
class PayoutReverseView(PlatformPayoutView):
    """POST /v1/payouts/{id}/reverse."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Ask for a paid payout back from the bank. Not every bank gives it; where it does, the payout is reversed when
        the money has arrived, and its amount can be withdrawn again. It is refused while an earlier attempt has not
        ended; after one that failed it is asked for anew."""
        values = checked(PayoutReasonSerializer, request)
        return self.act(
            request,
            name,
            lambda cur, payout: deciding.reverse_payout(cur, payout=payout, author=self.author, **values),
        )


def _requested(cur: Cursor, organization: UUID, values: dict[str, Any], cause: str, author: Any) -> Any:
    amount, currency = values["amount"], values.get("currency")
    if amount is not None and currency is None:
        raise InvalidField("An amount has its currency beside it.", pointer="/currency")
    partner = require_partner(cur, organization)
    if currency is not None and currency != partner.currency:
        raise CurrencyMismatch(f"The partner's currency is {partner.currency}.", pointer="/currency")
    return request_payout(cur, organization=organization, amount=amount, cause=cause, author=author)

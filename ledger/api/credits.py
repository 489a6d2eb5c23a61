"""/v1/balance, and credit in and out: /v1/credits/grants, their refunds, /v1/credits/clawbacks."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import CurrencyMismatch, InvalidAmount, InvalidField, NotFound
from common.money import to_document_units
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.api.representations import show_balance, show_entry, show_funding, show_grant
from ledger.api.serializers import (
    BalanceSerializer,
    ClawbackSerializer,
    EntrySerializer,
    FundingSerializer,
    GrantSerializer,
    RefundSerializer,
    ShownGrantSerializer,
)
from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.taking_back import claw_back, refund_credit
from ledger.queries.balances import credit_balance, find_grants, list_grants, organization_of_grant
from ledger.queries.funding import funding_of
from ledger.queries.journal import find_entry
from orgs.api.acting import OrgsView, checked
from orgs.queries.organizations import find_organization
from orgs.queries.subjects import resolve_agent, resolve_team, resolve_workflow
from orgs.rules.scopes import PLATFORM, SPEND_READ

RESOLVERS = {"team": resolve_team, "agent": resolve_agent, "workflow": resolve_workflow}
PROMOTIONAL_DAYS = 365


class BalanceView(OrgsView):
    """The credit of an organization."""

    required_scope = SPEND_READ

    @extend_schema(responses=BalanceSerializer, tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """Posted, held, available and debt, with the grants that hold something."""
        organization = self.for_list()
        return json_response(
            run_in_transaction(lambda cur: show_balance(credit_balance(cur, organization=organization)))
        )


class FundingView(OrgsView):
    """What pays for an organization's charges."""

    required_scope = SPEND_READ

    @extend_schema(responses=FundingSerializer, tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """The sources in the order in which a charge takes them: a plan's allowance, a contract's commitment, prepaid
        credit, and then the postpaid line. Each with what it has left and holds, and its grants with their windows."""
        organization = self.for_list()
        return json_response(
            run_in_transaction(lambda cur: show_funding(funding_of(cur, organization=organization)))
        )


class GrantListView(OrgsView):
    """Grants of credit."""

    required_scope = {"POST": PLATFORM, "GET": SPEND_READ}
    paged = True
    money_moves = True

    @extend_schema(responses=ShownGrantSerializer, tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """All grants, newest first."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_grants(cur, organization=organization, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.grant.id),), show=show_grant)

        return json_response(run_in_transaction(read))

    @extend_schema(request=GrantSerializer, responses={201: ShownGrantSerializer}, tags=["ledger"])
    def post(self, request: Request) -> HttpResponse:
        """Grant credit. Promotional credit without an expiry ends after 365 days, paid credit never. `source` says what
        it is for: an allowance is burnt before a commitment, and both before credit."""
        values = checked(GrantSerializer, request)
        _require_payable(values)
        organization = values["organization"]

        def operation(cur: Cursor) -> dict[str, Any]:
            new = NewGrant(
                organization=organization,
                amount=values["amount"],
                currency=values["currency"],
                kind=values["kind"],
                source=values["source"],
                reason=values["reason"],
                priority=values["priority"],
                scope=values["scope"],
                scope_target=_target(cur, organization, values),
                effective_at=values.get("effective_at"),
                expires_at=values.get("expires_at"),
                lifetime=timedelta(days=PROMOTIONAL_DAYS) if values["kind"] == "promotional" else None,
            )
            made = grant_credit(cur, new, author=self.author)
            return _shown(cur, organization, made)

        return self.idempotent(request, operation)


class GrantDetailView(OrgsView):
    """GET /v1/credits/grants/{id}."""

    required_scope = SPEND_READ

    @extend_schema(responses=ShownGrantSerializer, tags=["ledger"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """One grant, used up or not."""
        grant = path_id(name)
        organization = self.for_object(name, organization_of_grant)
        return json_response(run_in_transaction(lambda cur: _shown(cur, organization, grant)))


class GrantRefundView(OrgsView):
    """POST /v1/credits/grants/{id}/refund."""

    required_scope = PLATFORM
    money_moves = True

    @extend_schema(request=RefundSerializer, responses={201: EntrySerializer}, tags=["ledger"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Give back what a paid grant has left unused. Above that: 422 `amount_exceeds_available`."""
        values = checked(RefundSerializer, request)
        grant = path_id(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            organization = organization_of_grant(cur, grant)
            entry = refund_credit(
                cur,
                organization=organization,
                grant=grant,
                amount=values["amount"],
                reason=values["reason"],
                author=self.author,
            )
            return show_entry(find_entry(cur, organization=organization, entry=entry))

        return self.idempotent(request, operation)


class ClawbackListView(OrgsView):
    """POST /v1/credits/clawbacks."""

    required_scope = PLATFORM
    money_moves = True

    @extend_schema(request=ClawbackSerializer, responses={201: EntrySerializer}, tags=["ledger"])
    def post(self, request: Request) -> HttpResponse:
        """Take credit back. What is used already becomes debt, which shuts the gate until a grant repays it."""
        values = checked(ClawbackSerializer, request)
        organization = values["organization"]

        def operation(cur: Cursor) -> dict[str, Any]:
            if find_organization(cur, organization=organization).currency != values["currency"]:
                raise CurrencyMismatch(pointer="/currency")
            entry = claw_back(
                cur,
                organization=organization,
                amount=values["amount"],
                key=values["source"],
                reason=values["reason"],
                author=self.author,
            )
            return show_entry(find_entry(cur, organization=organization, entry=entry))

        return self.idempotent(request, operation)


def _shown(cur: Cursor, organization: UUID, grant: UUID) -> dict[str, Any]:
    found = find_grants(cur, organization=organization, grants=[grant])
    if not found:
        raise NotFound("There is no such grant.")
    return show_grant(found[0])


def _require_payable(values: dict[str, Any]) -> None:
    """What was paid has no more decimals than its currency. Raises InvalidAmount."""
    amount, currency = values["amount"], values["currency"]
    if values["kind"] == "paid" and to_document_units(amount, currency=currency) != amount:
        raise InvalidAmount(f"Nobody pays a fraction of the smallest coin of {currency}.", pointer="/amount")


def _target(cur: Cursor, organization: UUID, values: dict[str, Any]) -> UUID | None:
    scope, named = values["scope"], values.get("scope_target")
    if (scope == "organization") != (named is None):
        raise InvalidField(
            "A scope below the organization names its target, and only such.", pointer="/scope_target"
        )
    return None if named is None else RESOLVERS[scope](cur, organization=organization, name=named).id

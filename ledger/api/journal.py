"""/v1/entries, /v1/accounts with their statements, and /v1/trial-balance."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import Page, envelope
from common.api.views import path_id
from common.errors import InvalidParameter, InvalidPeriod
from common.fields import instant
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.api.representations import show_account, show_entry, show_statement_line, show_trial_line
from ledger.api.serializers import (
    AccountSerializer,
    EntrySerializer,
    ReasonSerializer,
    StatementSerializer,
    TrialBalanceSerializer,
)
from ledger.operations.reversing import reverse_entry
from ledger.queries.accounts import (
    AsOf,
    balance_as_of,
    find_account,
    list_accounts,
    organization_of_account,
)
from ledger.queries.journal import EntryFilter, find_entry, list_entries, organization_of_entry
from ledger.queries.statements import AXES, After, Period, StatementLine, statement, trial_balance
from orgs.api.acting import OrgsView, checked
from orgs.rules.facts import time_text
from orgs.rules.scopes import AUDIT_READ, PLATFORM, SPEND_READ


class AuditView(OrgsView):
    """The books, for whoever may audit them."""

    required_scope = AUDIT_READ

    def as_of(self) -> AsOf:
        """The moment that ?as_of= (in effect) and ?recorded_as_of= (as the books knew it) ask for."""
        return AsOf(self.query.instant("as_of"), self.query.instant("recorded_as_of"))


class EntryView(OrgsView):
    """Journal entries: also for whoever may see what was spent."""

    def scope_for(self, method: str) -> str | None:
        """audit:read, or spend:read where the key has that."""
        return SPEND_READ if self.caller.has_scope(SPEND_READ) else AUDIT_READ


class EntryListView(EntryView):
    """GET /v1/entries."""

    query_parameters = ("kind", "source", "idempotency_key", "account", "from", "to")
    paged = True

    @extend_schema(responses=EntrySerializer(many=True), tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """Journal entries with their lines, newest first; `from` and `to` go by when they took effect."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        wanted = EntryFilter(
            kind=self.query.text("kind"),
            source=self.query.text("source", max_length=300),
            key=self.query.text("idempotency_key", max_length=300),
            account=self.query.uuid("account"),
            since=self.query.instant("from"),
            until=self.query.instant("to"),
        )

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            rows = list_entries(
                cur, organization=organization, wanted=wanted, before=before, limit=page.fetch
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_entry)

        return json_response(run_in_transaction(read))


class EntryDetailView(EntryView):
    """GET /v1/entries/{id}."""

    @extend_schema(responses=EntrySerializer, tags=["ledger"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """One journal entry."""
        entry = path_id(name)
        organization = self.for_object(name, organization_of_entry)
        return json_response(
            run_in_transaction(
                lambda cur: show_entry(find_entry(cur, organization=organization, entry=entry))
            )
        )


class EntryReverseView(OrgsView):
    """POST /v1/entries/{id}/reverse."""

    required_scope = PLATFORM
    money_moves = True

    @extend_schema(request=ReasonSerializer, responses={201: EntrySerializer}, tags=["ledger"])
    def post(self, request: Request, name: str) -> HttpResponse:
        """Post the negative of an entry, once; credit goes back to where it came from. What a document states, and what
        invoices and contracts count by records of usage, is refused (409 `invalid_transition`): the answer says what
        corrects it."""
        values = checked(ReasonSerializer, request)
        entry = path_id(name)

        def operation(cur: Cursor) -> dict[str, Any]:
            organization = organization_of_entry(cur, entry)
            made = reverse_entry(
                cur, organization=organization, entry=entry, reason=values["reason"], author=self.author
            )
            return show_entry(find_entry(cur, organization=organization, entry=made))

        return self.idempotent(request, operation)


class AccountListView(AuditView):
    """GET /v1/accounts."""

    paged = True

    @extend_schema(responses=AccountSerializer(many=True), tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """The organization's accounts with their balances."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            after = UUID(page.position[0]) if page.position else None
            rows = list_accounts(cur, organization=organization, after=after, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=show_account)

        return json_response(run_in_transaction(read))


class AccountDetailView(AuditView):
    """GET /v1/accounts/{id}."""

    query_parameters = ("as_of", "recorded_as_of")

    @extend_schema(responses=AccountSerializer, tags=["ledger"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """An account with its balance now, or with `posted` as of a moment on either time axis."""
        account = path_id(name)
        organization = self.for_object(name, organization_of_account)
        as_of = self.as_of()

        def read(cur: Cursor) -> dict[str, Any]:
            row = find_account(cur, organization=organization, account=account)
            if as_of == AsOf():
                return show_account(row)
            posted = balance_as_of(cur, account=account, as_of=as_of)
            shown = show_account(replace(row, posted=posted))
            return {name: value for name, value in shown.items() if name not in ("held", "debt")}

        return json_response(run_in_transaction(read))


PERIOD: Final = [
    OpenApiParameter("from", OpenApiTypes.DATETIME, required=True),
    OpenApiParameter("to", OpenApiTypes.DATETIME, required=True, description="Not included."),
    OpenApiParameter("axis", str, enum=AXES, default="effective"),
]


class StatementView(AuditView):
    """GET /v1/accounts/{id}/statement."""

    query_parameters = ("from", "to", "axis")
    paged = True

    @extend_schema(parameters=PERIOD, responses=StatementSerializer, tags=["ledger"])
    def get(self, request: Request, name: str) -> HttpResponse:
        """Opening, lines and closing of [from, to), by when entries took effect or were recorded."""
        account = path_id(name)
        organization = self.for_object(name, organization_of_account)
        period = self._period()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            found = find_account(cur, organization=organization, account=account)
            made = statement(cur, account=account, period=period, after=_after(page), limit=page.fetch)
            return {
                "account": name,
                "currency": found.currency,
                "axis": period.axis,
                "opening": format_amount(made.opening),
                "closing": format_amount(made.closing),
                **envelope(made.lines, page=page, position=_position, show=show_statement_line),
            }

        return json_response(run_in_transaction(read))

    def _period(self) -> Period:
        start, end = self.query.instant("from"), self.query.instant("to")
        if start is None or end is None:
            raise InvalidParameter("A statement has ?from= and ?to=.")
        if end <= start:
            raise InvalidPeriod
        return Period(start, end, self.query.choice("axis", options=AXES) or "effective")


class TrialBalanceView(AuditView):
    """GET /v1/trial-balance."""

    query_parameters = ("as_of", "recorded_as_of")

    @extend_schema(responses=TrialBalanceSerializer, tags=["ledger"])
    def get(self, request: Request) -> HttpResponse:
        """Debits and credits by kind and currency as of a moment on either time axis; both sides are equal."""
        organization = self.for_list()
        as_of = self.as_of()
        lines = run_in_transaction(lambda cur: trial_balance(cur, organization=organization, as_of=as_of))
        return json_response({"data": [show_trial_line(line) for line in lines]})


def _position(line: StatementLine) -> tuple[str, str, int, str]:
    return (str(time_text(line.at)), str(line.entry_id), line.n, str(line.balance))


def _after(page: Page) -> After | None:
    if page.position is None:
        return None
    at, entry, number, balance = page.position
    return After(instant(at), UUID(entry), number, int(balance))

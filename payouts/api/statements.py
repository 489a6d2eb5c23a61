"""/v1/partner/statements: what a partner earned, lost and was paid, month by month."""

from __future__ import annotations

import csv
from datetime import date
from io import StringIO
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.serializers import (
    AmountField,
    CurrencyField,
    IdField,
    InstantField,
    TextField,
    WholeNumberField,
)
from common.errors import NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from payouts.api.acting import PartnerMoneyView
from payouts.queries.statements import addressee_of, find_statement, statement_pdf, statements_of
from payouts.rules.statements import CSV_HEAD, Statement, csv_rows, shown

_MOST = 10**9
TAGS = ["statements"]


@extend_schema_serializer(component_name="PartnerStatementLine")
class StatementLineSerializer(serializers.Serializer[Any]):
    """What an agent earned of a customer. Who that is the partner knows by a reference of its own."""

    listing = TextField()
    customer = TextField()
    calls = WholeNumberField(minimum=-_MOST, maximum=_MOST)
    gross = AmountField(help_text="The charges; where several share them the partner's own part.")
    fee = AmountField(help_text="What the platform kept of them.")
    share = AmountField()


class StatementClawbackSerializer(serializers.Serializer[Any]):
    """What was taken back of a customer's."""

    customer = TextField()
    amount = AmountField()


class StatementPayoutSerializer(serializers.Serializer[Any]):
    """What a payout took, or brought back (below zero)."""

    payout = TextField()
    day = TextField()
    amount = AmountField()
    kind = TextField(help_text="payout_requested or payout_returned.")


class StatementCollectionSerializer(serializers.Serializer[Any]):
    """What of a customer's can be withdrawn from this month on, and no more."""

    customer = TextField()
    received = AmountField(help_text="Collected and past the holdback.")
    taken_back = AmountField(
        help_text="Of what was received, now or before: what paid for it was taken back."
    )


@extend_schema_serializer(component_name="PartnerStatementIssuer")
class StatementIssuerSerializer(serializers.Serializer[Any]):
    """The legal entity that issues the statement, as it was then."""

    name = TextField()
    country = TextField(allow_null=True)
    address = serializers.ListField(child=TextField(), help_text="Line by line.")
    vat_ids = serializers.ListField(child=TextField())


@extend_schema_serializer(component_name="PartnerStatementSupplier")
class StatementSupplierSerializer(serializers.Serializer[Any]):
    """The partner, for tax. Its address is on the PDF."""

    country = TextField(allow_null=True)
    vat_id = TextField(allow_null=True)


@extend_schema_serializer(component_name="PartnerStatement")
class StatementSerializer(serializers.Serializer[Any]):
    """A statement. closing = opening + earned - clawed_back - paid_out, and is the next one's opening; payable =
    payable_opening + received - taken_back - paid_out, and is the next one's payable_opening."""

    number = TextField(help_text="Of the partner's own series, without a gap.")
    month = TextField(help_text="2027-01, UTC.")
    partner = IdField()
    name = TextField()
    issuer = StatementIssuerSerializer(
        required=False, help_text="Absent in statements from before they said so, like supplier."
    )
    supplier = StatementSupplierSerializer(required=False)
    currency = CurrencyField()
    made_at = InstantField(help_text="When it was issued.")
    opening = AmountField()
    gross = AmountField()
    fees = AmountField()
    earned = AmountField()
    clawed_back = AmountField()
    paid_out = AmountField()
    closing = AmountField()
    payable_opening = AmountField(help_text="What could be withdrawn at the month's beginning.")
    received = AmountField(help_text="Collected and past the holdback in this month.")
    taken_back = AmountField(help_text="Of what was received: refunded, disputed or given up.")
    payable = AmountField(
        help_text="Collected and past the holdback at the month's end, less payouts; the rest of closing is not paid "
        "yet. Below zero: more was paid out than was left after refunds and disputes."
    )
    in_transit = AmountField(help_text="Of paid_out, of this month or before: on its way at the month's end.")
    lines = StatementLineSerializer(many=True)
    clawbacks = StatementClawbackSerializer(many=True)
    payouts = StatementPayoutSerializer(many=True)
    collections = StatementCollectionSerializer(many=True)


class StatementView(PartnerMoneyView):
    """A view of one statement."""

    def found(self, month: str) -> Statement:
        """The statement in the path. Raises NotFound."""
        try:
            first = date.fromisoformat(f"{month}-01")
        except ValueError:
            raise NotFound("There is no statement of this month.") from None
        organization = self.for_list()
        return run_in_transaction(lambda cur: find_statement(cur, organization, first))


@extend_schema_view(get=extend_schema(responses=StatementSerializer(many=True), tags=TAGS))
class StatementListView(PartnerMoneyView):
    """GET /v1/partner/statements."""

    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The partner's statements, the latest first. They are made some hours after the month's end."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            before = date.fromisoformat(page.position[0]) if page.position else None
            rows = statements_of(cur, organization, before=before, limit=page.fetch)
            return envelope(
                rows,
                page=page,
                position=lambda row: (row.month.isoformat(),),
                show=lambda row: shown(row.document),
            )

        return json_response(run_in_transaction(read))


@extend_schema_view(get=extend_schema(responses=StatementSerializer, tags=TAGS))
class StatementDetailView(StatementView):
    """GET /v1/partner/statements/{month}."""

    def get(self, request: Request, month: str) -> HttpResponse:
        """The statement of a month, such as 2027-01."""
        return json_response(shown(self.found(month).document))


@extend_schema_view(get=extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY}, tags=TAGS))
class StatementPdfView(StatementView):
    """GET /v1/partner/statements/{month}.pdf."""

    def get(self, request: Request, month: str) -> HttpResponse:
        """The statement as PDF, a self-billed document: who issues it and for whom, with addresses and VAT ids as far
        as they are known, and the day of issue. Always the same bytes, unless the partner's address was erased."""
        found = self.found(month)
        addressee = run_in_transaction(lambda cur: addressee_of(cur, found.id))
        answer = HttpResponse(statement_pdf(found, addressee), content_type="application/pdf")
        answer.headers["Content-Disposition"] = f'inline; filename="{found.number}.pdf"'
        return answer


@extend_schema_view(get=extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, tags=TAGS))
class StatementCsvView(StatementView):
    """GET /v1/partner/statements/{month}.csv."""

    def get(self, request: Request, month: str) -> HttpResponse:
        """The statement as CSV, always the same bytes: the rows between opening and closing sum to their difference,
        and so do those between payable_opening and payable."""
        found = self.found(month)
        text = StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([CSV_HEAD, *csv_rows(found.document)])
        answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="{found.number}.csv"'
        return answer

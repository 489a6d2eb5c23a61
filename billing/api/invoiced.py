"""/v1/usage/{id}/invoice-line and /v1/events/{id}/invoice-line: from use back to its invoice line (S74)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request

from billing.api.invoice_representations import utc
from billing.api.invoice_serializers import MAX_LINES, SignedAmountField
from billing.api.invoices import InvoiceView
from billing.queries.invoiced import REASONS, Invoiced, event_invoiced, usage_invoiced
from billing.queries.meterevents import organization_of_event
from billing.queries.recordlines import RecordLine
from billing.rules.invoices import STATES
from billing.rules.meteredlines import METERED
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    TextField,
    WholeNumberField,
    WordField,
)
from common.api.views import path_id
from common.money import format_amount, format_document_amount
from events.store import Cursor
from ledger.rules.grants import KINDS
from spend.queries.fundingsums import PAYERS
from spend.queries.usage import organization_of_usage


class RecordLineSerializer(serializers.Serializer[Any]):
    """A line that a usage record or an event is on."""

    invoice = IdField()
    number = TextField(allow_null=True, help_text="Of the invoice; null: it is a draft.")
    status = WordField(STATES, help_text="Of the invoice; a void one bills nothing.")
    line = WholeNumberField(minimum=1, maximum=MAX_LINES, help_text="`…/lines/{line}/explain` says the rest.")
    kind = WordField(("usage", METERED))
    description = TextField()
    currency = CurrencyField()
    amount = SignedAmountField(help_text="Of the whole line.")
    period_start = InstantField(help_text="Of the line's use; of late use, of the invoice.")
    period_end = InstantField()
    late = FlagField(help_text="Its period was closed when it became known.")
    counts = FlagField(help_text="False: the line knows that it was taken back.")
    records = serializers.ListField(
        child=IdField(), help_text="Which rows of records.csv are about it; of the charge of the line: none."
    )


class RecordFundingSerializer(serializers.Serializer[Any]):
    """What paid for a part; of a grant, which and of what kind."""

    source = WordField(PAYERS)  # type: ignore[assignment]
    grant = IdField(allow_null=True)
    kind = WordField(KINDS, allow_null=True)
    amount = AmountField()


@extend_schema_serializer(component_name="InvoicedRecord")
class InvoicedRecordSerializer(serializers.Serializer[Any]):
    """On which invoice lines a usage record or an event is, or why it is on none."""

    id = IdField()
    organization = IdField()
    status = WordField(("invoiced", "not_invoiced"))
    reason = WordField(tuple(REASONS), allow_null=True, help_text="Why it is not invoiced.")
    words = TextField(allow_null=True, help_text="The reason in words.")
    next_at = InstantField(allow_null=True, help_text="When it is billed at the latest, where that is known.")
    currency = CurrencyField(allow_null=True)
    charge = IdField(
        allow_null=True,
        help_text="Of an event: the usage record of its line's charge, null where nothing was charged.",
    )
    funding = RecordFundingSerializer(
        many=True, help_text="What paid for the record; of an event, for its last line as a whole."
    )
    entry = IdField(allow_null=True, help_text="The journal entry of that.")
    lines = RecordLineSerializer(many=True, help_text="Oldest first, also those of void invoices.")


class InvoicedView(InvoiceView):
    """What both views share: whoever reads invoices reads which of them bills a record."""

    def shown(
        self,
        name: str,
        owner_of: Callable[[Cursor, UUID], UUID],
        find: Callable[[Cursor, UUID, UUID], Invoiced],
    ) -> HttpResponse:
        """The answer for the record in the path. Raises NotFound."""
        record = path_id(name)
        organization = self.for_object(name, owner_of)
        return self.answer(
            lambda cur: {
                "id": record,
                "organization": organization,
                **show_invoiced(find(cur, organization, record)),
            }
        )


@extend_schema_view(get=extend_schema(responses=InvoicedRecordSerializer, tags=["invoices"]))
class UsageInvoiceLineView(InvoicedView):
    """GET /v1/usage/{id}/invoice-line."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """On which invoice line a usage record is, or why it is on none. A meter may have counted it on another one."""

        def find(cur: Cursor, organization: UUID, record: UUID) -> Invoiced:
            return usage_invoiced(cur, organization=organization, record=record)

        return self.shown(name, organization_of_usage, find)


@extend_schema_view(get=extend_schema(responses=InvoicedRecordSerializer, tags=["invoices"]))
class EventInvoiceLineView(InvoicedView):
    """GET /v1/events/{id}/invoice-line."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """On which metered lines an event is, or why none counts it: what is said last of each period holds."""

        def find(cur: Cursor, organization: UUID, event: UUID) -> Invoiced:
            return event_invoiced(cur, organization=organization, event=event)

        return self.shown(name, organization_of_event, find)


def show_invoiced(found: Invoiced) -> dict[str, Any]:
    """What is known of a record's invoice, as answers show it."""
    return {
        "status": "invoiced" if found.reason is None else "not_invoiced",
        "reason": found.reason,
        "words": None if found.reason is None else REASONS[found.reason],
        "next_at": utc(found.next_at),
        "currency": found.currency,
        "charge": found.charge,
        "funding": [
            {"source": one.source, "grant": one.grant, "kind": one.kind, "amount": format_amount(one.amount)}
            for one in found.parts
        ],
        "entry": found.entry,
        "lines": [_show_line(one) for one in found.lines],
    }


def _show_line(one: RecordLine) -> dict[str, Any]:
    line = one.line
    return {
        "invoice": line.invoice_id,
        "number": one.number,
        "status": one.status,
        "line": line.n,
        "kind": line.kind,
        "description": line.description,
        "currency": one.currency,
        "amount": format_document_amount(line.amount, currency=one.currency),
        "period_start": utc(line.service_start or one.period_start),
        "period_end": utc(line.service_end or one.period_end),
        "late": one.is_late,
        "counts": one.counts,
        "records": [fact.id for fact in one.facts],
    }

"""What requests about invoices may hold, and what answers show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from billing.operations.invoices.paying import METHODS, PROCESSOR
from billing.operations.invoices.thresholds import MOST
from billing.rules.assembling import ACCOUNTS, ROUNDING
from billing.rules.invoices import CAUSES, STATES
from billing.rules.items import KINDS, RECOGNITIONS
from billing.rules.usagelines import SOURCES
from common import fields
from common.api.serializers import (
    AMOUNT_PATTERN,
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    StrictField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)

MAX_LINES = 10_000
TAX_CODES = ("standard", "reduced", "exempt")


@extend_schema_field(
    {"type": "string", "pattern": AMOUNT_PATTERN.replace("^", "^-?"), "examples": ["-12.50"]}
)
class SignedAmountField(AmountField):
    """An amount that the server states, of either sign."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class TextsField(StrictField):
    """Texts by name, stated by the server."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, read_only=True, **kwargs)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
class CountsField(StrictField):
    """Counts by name, stated by the server."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, read_only=True, **kwargs)


class PartySerializer(serializers.Serializer[Any]):
    """A party of an invoice, as it was then."""

    name = TextField()
    country = TextField(allow_null=True)
    vat_id = TextField(allow_null=True)
    address = serializers.ListField(child=TextField(), help_text="Line by line.")


class InvoiceDiscountSerializer(serializers.Serializer[Any]):
    """What a coupon takes off."""

    coupon = TextField()
    amount = AmountField()


class TaxLineSerializer(serializers.Serializer[Any]):
    """Base and tax of all lines that are taxed alike, rounded once."""

    percent = TextField(help_text="The rate in percent.")
    category = TextField(
        help_text="Of EN 16931: S, Z (a rate of zero), AE (reverse charge), E (exempt), O (outside the scope)."
    )
    country = TextField()
    exemption_code = TextField(allow_null=True)
    base = SignedAmountField()
    tax = SignedAmountField()


class PaymentSerializer(serializers.Serializer[Any]):
    """What was paid; `applied` of it settled the invoice, the rest became credit."""

    id = IdField()
    amount = AmountField()
    applied = AmountField()
    method = WordField((*METHODS, PROCESSOR))
    reference = TextField()
    paid_at = InstantField()
    entry = IdField()


class ProgressiveInvoiceSerializer(serializers.Serializer[Any]):
    """An invoice that a threshold made within the period, less its credit notes."""

    id = IdField()
    number = TextField(allow_null=True)
    issued_at = InstantField(allow_null=True)
    net = SignedAmountField()
    tax = SignedAmountField()


class ProgressiveSerializer(serializers.Serializer[Any]):
    """What the last invoice of a period with progressive billing states beside its lines, without tax."""

    fees = SignedAmountField(help_text="What the whole period came to.")
    progressive_credit = SignedAmountField(help_text="What was invoiced before of it.")
    due = SignedAmountField(help_text="The rest, which the lines bill: the invoice's net.")
    credit_tax = SignedAmountField(help_text="The tax that the invoices before bear.")
    count = WholeNumberField(minimum=1, maximum=10**9, help_text="How many they were.")
    invoices = ProgressiveInvoiceSerializer(many=True, help_text="The last hundred of them.")


class InvoiceFiguresSerializer(serializers.Serializer[Any]):
    """What a document says about money."""

    currency = CurrencyField()
    subtotal = SignedAmountField()
    discount = SignedAmountField()
    net = SignedAmountField()
    tax = SignedAmountField()
    total = SignedAmountField()
    discounts = InvoiceDiscountSerializer(many=True)
    taxes = TaxLineSerializer(many=True)
    progressive = ProgressiveSerializer(
        allow_null=True,
        help_text="Null unless thresholds made invoices in the period that it is the last of.",
    )


class InvoiceSerializer(InvoiceFiguresSerializer):
    """An invoice without its lines."""

    id = IdField()
    organization = IdField()
    status = WordField(STATES)
    cause = WordField(CAUSES)
    number = TextField(allow_null=True, help_text="Null until it is finalised.")
    seller = PartySerializer()
    customer = PartySerializer()
    purchase_order = TextField(allow_null=True)
    dated_at = InstantField(help_text="The boundary that it is for.")
    period_start = InstantField()
    period_end = InstantField()
    net_days = WholeNumberField(minimum=0, maximum=3650)
    finalize_at = InstantField(help_text="The end of its grace period.")
    due_at = InstantField(allow_null=True)
    paid = AmountField()
    credited = AmountField()
    written_off = AmountField()
    due = AmountField(help_text="What is still to pay.")
    entry = IdField(allow_null=True)
    error = TextField(allow_null=True)
    version = WholeNumberField(minimum=1, maximum=2**31 - 1)
    created_at = InstantField()
    finalized_at = InstantField(allow_null=True)
    sent_at = InstantField(allow_null=True)
    paid_at = InstantField(allow_null=True)
    voided_at = InstantField(allow_null=True)
    uncollectible_at = InstantField(allow_null=True)


class InvoiceDetailSerializer(InvoiceSerializer):
    """An invoice with what was paid on it."""

    payments = PaymentSerializer(many=True)


class FundedSerializer(serializers.Serializer[Any]):
    """Who paid for use before the invoice; what is postpaid is on it."""

    source = WordField(SOURCES)  # type: ignore[assignment]
    amount = AmountField()


class QuantitiesSerializer(serializers.Serializer[Any]):
    """What a line over use counts."""

    calls = WholeNumberField(minimum=0, maximum=10**12)
    tokens = CountsField(help_text="By kind; what is zero is left out.")
    tool_calls = WholeNumberField(minimum=0, maximum=10**12)


class InvoiceLineSerializer(serializers.Serializer[Any]):
    """A line. `charge` is what use cost exactly; `amount`, `discount`, `net` and `tax` are the document's."""

    number = WholeNumberField(minimum=1, maximum=MAX_LINES)
    kind = WordField(
        ("usage", "metered", *KINDS, ROUNDING),
        help_text="The last may be `rounding`: what brings the total to an amount that can be charged.",
    )
    description = TextField()
    quantity = TextField(allow_null=True)
    charge = AmountField()
    funded = FundedSerializer(many=True)
    amount = SignedAmountField()
    discount = SignedAmountField()
    net = SignedAmountField()
    tax = SignedAmountField()
    tax_percent = TextField(allow_null=True, help_text="Null while the tax is not known.")
    tax_rate = IdField(
        allow_null=True,
        help_text="The rate at `/v1/tax-rates` that it is; null: one of the package, or none.",
    )
    service_start = InstantField(allow_null=True)
    service_end = InstantField(allow_null=True)
    item = IdField(allow_null=True)
    subscription = IdField(allow_null=True)
    contract = IdField(allow_null=True)
    charge_key = TextField(allow_null=True)
    plan_version = IdField(allow_null=True)
    provider = TextField(allow_null=True)
    model = TextField(allow_null=True)
    tool = TextField(allow_null=True)
    late = FlagField(help_text="Facts of a period that was closed already.")
    quantities = QuantitiesSerializer(allow_null=True)
    records = WholeNumberField(
        minimum=0, maximum=10**12, allow_null=True, help_text="How many usage records."
    )
    digest = TextField(allow_null=True, help_text="Over id and charge of all its records.")


class UpcomingOneSerializer(InvoiceFiguresSerializer):
    """One of the invoices that are to come."""

    dated_at = InstantField(allow_null=True)
    period_start = InstantField(allow_null=True)
    period_end = InstantField(allow_null=True)
    tax_is_known = FlagField()
    lines = InvoiceLineSerializer(many=True)


class UpcomingInvoiceSerializer(UpcomingOneSerializer):
    """The next invoice as it would be if nothing were used any more; `lines` is empty when nothing is owed. Where there
    will be several, the sums of all of them and the lines of all, numbered as on theirs."""

    invoices = UpcomingOneSerializer(many=True, help_text="Each invoice: one, several, or none.")


class StepSerializer(serializers.Serializer[Any]):
    """One step of how an amount came about."""

    name = TextField()
    words = TextField()
    values = TextsField()
    result = TextField()


class RecountSerializer(serializers.Serializer[Any]):
    """The line's records, added up again one by one; `rated` is worked out from their quantities and prices."""

    records = WholeNumberField(minimum=0, maximum=10**12)
    charge = AmountField()
    rated = AmountField()
    postpaid = AmountField()
    digest = TextField()


class MeterRecountSerializer(serializers.Serializer[Any]):
    """What the records of a group of a metered line come to when they are counted one by one."""

    group = serializers.DictField(child=serializers.CharField(allow_null=True))
    quantity = TextField(
        allow_null=True,
        help_text="What the line's time adds to earlier parts of its window. Null of a level (weighted_sum).",
    )
    records = WholeNumberField(minimum=0, maximum=100_000)
    digest = TextField(help_text="SHA-256 over the ids in order, hex.")


class LineExplanationSerializer(serializers.Serializer[Any]):
    """Why a line says what it says. `agrees` is null where no records were read again."""

    invoice = IdField()
    line = InvoiceLineSerializer()
    account = WordField(ACCOUNTS, help_text="Where its amount comes from in the books.")
    remainder = SignedAmountField(help_text="What rounding to the document made of it.")
    price_versions = serializers.ListField(child=IdField())
    steps = StepSerializer(many=True)
    recount = RecountSerializer(allow_null=True)
    counted = MeterRecountSerializer(
        many=True, allow_null=True, help_text="Of a metered line: its records counted again, by group."
    )
    agrees = FlagField(allow_null=True)


class PayInvoiceSerializer(StrictSerializer):
    """A payment that came. What is over what is due becomes credit of the customer."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    amount = AmountField(document_currency="currency")
    currency = CurrencyField()
    method = WordField(METHODS, help_text="With credit, the customer's own credit pays.")
    reference = TextField(max_length=200, help_text="What the bank calls it; recorded once for each method.")
    paid_at = InstantField(required=False, help_text="When it came. Default: now.")


class InvoiceReasonSerializer(StrictSerializer):
    """Why it is done."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    reason = TextField(max_length=500)


class CreditedLineSerializer(StrictSerializer):
    """What to take back of a line, without tax."""

    line = WholeNumberField(minimum=1, maximum=MAX_LINES)
    net = AmountField(help_text="Of a line below zero, how much less it is to give back.")


class NewCreditNoteSerializer(StrictSerializer):
    """What to take back: an amount with its tax, lines without theirs, or (neither) whatever is left."""

    id = IdField(read_only=True)
    number = TextField(read_only=True)
    reason = TextField(max_length=500)
    amount = AmountField(
        required=False,
        help_text="With tax; spread over what is left of the lines. In currencies that the "
        "processor charges in coarser steps than their coins (KWD: 0.010) a multiple of that, or what "
        "makes one of the rest.",
    )
    lines = CreditedLineSerializer(many=True, required=False)


class CreditNoteLineSerializer(serializers.Serializer[Any]):
    """What a note takes back of a line."""

    line = WholeNumberField(minimum=1, maximum=MAX_LINES)
    net = SignedAmountField()
    tax = SignedAmountField()


class CreditNoteSerializer(serializers.Serializer[Any]):
    """A credit note: `receivable` of it is not to be paid any more, `credit` of it became credit of the customer."""

    id = IdField()
    organization = IdField()
    invoice = IdField()
    number = TextField()
    reason = TextField()
    currency = CurrencyField()
    dated_at = InstantField()
    net = SignedAmountField()
    tax = SignedAmountField()
    total = AmountField()
    receivable = AmountField()
    credit = AmountField()
    taxes = TaxLineSerializer(many=True)
    lines = CreditNoteLineSerializer(many=True)
    entry = IdField()


class InvoiceItemSerializer(StrictSerializer):
    """An amount that waits for the customer's next invoice, or is on one."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Whose it is to be.")
    direction = WordField(
        ("charge", "credit"), required=False, help_text="A credit is owed back. Default charge."
    )
    description = TextField(max_length=200)
    amount = AmountField(document_currency="currency")
    currency = CurrencyField()
    due_at = InstantField(required=False, help_text="Default: the end of the customer's cycle.")
    tax_code = WordField(TAX_CODES, required=False, help_text="Default standard.")
    discountable = FlagField(required=False, help_text="Whether coupons lower it. Default true.")
    kind = TextField(read_only=True)
    status = TextField(read_only=True)


@extend_schema_serializer(component_name="InvoiceItem")
class ShownInvoiceItemSerializer(serializers.Serializer[Any]):
    """An amount that waits for the customer's next invoice, or is on one."""

    id = IdField()
    organization = IdField()
    kind = WordField(KINDS)
    description = TextField()
    amount = SignedAmountField()
    currency = CurrencyField()
    quantity = TextField(allow_null=True)
    subscription = IdField(allow_null=True)
    contract = IdField(allow_null=True)
    charge_key = TextField(allow_null=True)
    service_start = InstantField(allow_null=True)
    service_end = InstantField(allow_null=True)
    due_at = InstantField()
    tax_code = TextField()
    discountable = FlagField()
    recognition = WordField(RECOGNITIONS)
    invoice = IdField(allow_null=True)
    line = WholeNumberField(minimum=1, maximum=MAX_LINES, allow_null=True)
    created_at = InstantField()


class BillingRunSerializer(serializers.Serializer[Any]):
    """A customer whose billing run meets trouble."""

    organization = IdField()
    name = TextField()
    status = WordField(("retrying", "parked"))
    failures = WholeNumberField(minimum=0, maximum=2**31 - 1)
    last_error = TextField(allow_null=True)
    failed_at = InstantField(allow_null=True)
    parked_at = InstantField(allow_null=True)


class DunningRunSerializer(BillingRunSerializer):
    """A customer whose dunning meets trouble."""


class BillingCycleSerializer(serializers.Serializer[Any]):
    """Where a customer's billing stands."""

    organization = IdField()
    currency = CurrencyField()
    cycle_start = InstantField()
    next_at = InstantField(help_text="The end of the running cycle.")
    unbilled = AmountField(help_text="Postpaid use that is on no invoice yet.")
    billed = AmountField(help_text="What of the period's use thresholds have invoiced.")
    threshold = AmountField(allow_null=True, help_text="The recurring one, where there is no other.")
    thresholds = serializers.ListField(child=AmountField(), help_text="Each fires once in a period.")
    recurring_threshold = AmountField(allow_null=True, help_text="Counts on from the last of them.")


class BillingThresholdSerializer(StrictSerializer):
    """At which totals of a period's use invoices are made before it ends. What is not named stays."""

    id = IdField(read_only=True)
    organization = IdField(required=False, help_text="Only for the platform: whose it is.")
    thresholds = serializers.ListField(
        child=AmountField(),
        required=False,
        max_length=MOST,
        help_text="Each above the one before; each fires once in a period.",
    )
    recurring_threshold = AmountField(
        required=False,
        allow_null=True,
        help_text="Fires again and again, counted on from the last of them; null: none.",
    )
    threshold = AmountField(
        required=False,
        allow_null=True,
        help_text="Alone, instead of both: one that recurs from the beginning of the period; null: none at all.",
    )

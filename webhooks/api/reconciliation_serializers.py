"""What requests about reconciliation may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    DateField,
    FlagField,
    FreeObjectField,
    IdField,
    InstantField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from webhooks.rules.reconciling.billfiles import PROVIDERS
from webhooks.rules.reconciling.bills import AGAINST, BOOKED, DEFAULT_TOLERANCE_PPM, IMPORTED, PPM
from webhooks.rules.reconciling.differences import CLASSES, OUTCOMES
from webhooks.rules.reconciling.items import MAX_REASON, STATUSES

MAX_CSV: Final = 900_000
MOST: Final = 10**12


class MoneySerializer(serializers.Serializer[Any]):
    """An amount of a currency."""

    currency = CurrencyField()
    amount = AmountField()


@extend_schema_serializer(component_name="ReconciliationStep")
class StepSerializer(serializers.Serializer[Any]):
    """What a step counted."""

    name = TextField()
    compared = WholeNumberField(minimum=0, maximum=MOST)
    foreign = WholeNumberField(minimum=0, maximum=MOST, help_text="Somebody else's, without money of ours.")
    repaired = WholeNumberField(minimum=0, maximum=MOST)
    open = WholeNumberField(minimum=0, maximum=MOST)
    milliseconds = WholeNumberField(minimum=0, maximum=MOST)
    amounts = MoneySerializer(many=True, help_text="The sum of what was compared.")


class ClassSerializer(serializers.Serializer[Any]):
    """Differences of a class."""

    difference = WordField(CLASSES)
    found = WholeNumberField(minimum=0, maximum=MOST)
    repaired = WholeNumberField(minimum=0, maximum=MOST)
    new = WholeNumberField(minimum=0, maximum=MOST, help_text="That no run had met before.")
    open = WholeNumberField(minimum=0, maximum=MOST, help_text="Of all runs, when it was finished.")


@extend_schema_serializer(component_name="ProcessorBalance")
class BalanceSerializer(serializers.Serializer[Any]):
    """The processor's balance in a currency: opening + moved = closing."""

    currency = CurrencyField()
    opening = AmountField()
    moved = AmountField()
    closing = AmountField()
    rows = AmountField(help_text="The sum of all balance transactions that were read.")
    books = AmountField(help_text="What stands on processor_clearing of all organizations.")


class ReconciliationSerializer(StrictSerializer):
    """The report of a run."""

    id = IdField(read_only=True)
    period = DateField(read_only=True, help_text="The day (UTC) that it is for.")
    cause = WordField(("nightly", "manual"), read_only=True)
    status = WordField(("running", "finished"), read_only=True)
    since = InstantField(read_only=True, help_text="Objects made from then on were compared …")
    until = InstantField(read_only=True, help_text="… until then; what is younger is in flight.")
    steps = StepSerializer(many=True, read_only=True, help_text="Those that are done, in their order.")
    differences = ClassSerializer(many=True, read_only=True)
    balances = BalanceSerializer(many=True, read_only=True)
    is_clean = FlagField(read_only=True, allow_null=True, help_text="Whether nothing is open.")
    error = TextField(
        read_only=True, allow_null=True, help_text="What stopped it last; it goes on by itself."
    )
    attempts = WholeNumberField(minimum=0, maximum=1_000_000, read_only=True)
    started_at = InstantField(read_only=True)
    finished_at = InstantField(read_only=True, allow_null=True)


class DifferenceSerializer(StrictSerializer):
    """Something that differed, since when, and what became of it."""

    id = IdField(read_only=True)
    reconciliation = IdField(read_only=True, help_text="The run that met it first.")
    last_reconciliation = IdField(read_only=True)
    kind = TextField(read_only=True, help_text="Of the object, such as payment.")
    difference = WordField(CLASSES, read_only=True)
    subject = TextField(read_only=True)
    organization = IdField(read_only=True, allow_null=True)
    amount = AmountField(read_only=True, allow_null=True, help_text="How much more the processor says.")
    currency = CurrencyField(read_only=True, allow_null=True)
    detail = FreeObjectField(read_only=True, help_text="The evidence; amounts in units of 10^-8.")
    outcome = WordField(OUTCOMES, read_only=True)
    finding = IdField(read_only=True, allow_null=True)
    first_seen_at = InstantField(read_only=True)
    last_seen_at = InstantField(read_only=True)
    ended_at = InstantField(read_only=True, allow_null=True)
    age_seconds = WholeNumberField(
        minimum=0, maximum=MOST, read_only=True, help_text="How long it is, or was, open."
    )
    assigned_to = TextField(read_only=True, allow_null=True, help_text="Who looks after its finding.")


class SuspenseSerializer(StrictSerializer):
    """A balance transaction that no object of ours explains, as it stands in the platform's books."""

    id = IdField(read_only=True)
    balance_transaction = TextField(read_only=True)
    subject = TextField(read_only=True, help_text="What it is about, such as payment_intent:pi_1.")
    category = TextField(read_only=True, help_text="The processor's reporting category.")
    amount = AmountField(read_only=True)
    fee = AmountField(read_only=True)
    currency = CurrencyField(read_only=True)
    booked_to = TextField(read_only=True, help_text="What stands against the processor's balance.")
    status = WordField(STATUSES, read_only=True)
    assigned_to = IdField(read_only=True, allow_null=True)
    invoice = IdField(read_only=True, allow_null=True)
    reason = TextField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    booked_at = InstantField(read_only=True)
    ended_at = InstantField(read_only=True, allow_null=True)


class AssignSerializer(StrictSerializer):
    """Whose money in suspense is."""

    organization = IdField()
    invoice = IdField(required=False, allow_null=True, help_text="Which it pays; without, it becomes credit.")
    reason = TextField(max_length=MAX_REASON)


class ForeignSerializer(StrictSerializer):
    """Why money in suspense is none of ours."""

    reason = TextField(max_length=MAX_REASON)


class CsvField(TextField):
    """A file's text. A mark of the byte order before it is no part of it."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text without the mark."""
        found: str = super().to_internal_value(data.removeprefix("\ufeff") if isinstance(data, str) else data)
        return found


class NewBillSerializer(StrictSerializer):
    """A provider's cost export."""

    provider = WordField(PROVIDERS)
    csv = CsvField(
        max_length=MAX_CSV,
        multiline=True,
        help_text="The content of the file, with its first line. Larger ones: manage.py import_provider_bill.",
    )
    tolerance_ppm = WholeNumberField(
        minimum=0, maximum=PPM, required=False, default=DEFAULT_TOLERANCE_PPM,
        help_text="By how much a day of a model may differ, in parts of a million of the larger one.",
    )  # fmt: skip


class BookBillSerializer(StrictSerializer):
    """How a bill is booked."""

    against = WordField(
        AGAINST,
        help_text="cash: it is paid; provider_payable: only its difference to our record is taken over.",
    )


class BillDaySerializer(serializers.Serializer[Any]):
    """A day and model of a bill beside our record of calls."""

    day = DateField()
    model = TextField()
    billed = AmountField()
    ours = AmountField()
    difference = AmountField()
    is_within = FlagField(help_text="Whether that is within the tolerance.")


class BillSerializer(StrictSerializer):
    """A provider's bill."""

    id = IdField(read_only=True)
    provider = WordField(PROVIDERS, read_only=True)
    currency = CurrencyField(read_only=True)
    total = AmountField(read_only=True)
    first_day = DateField(read_only=True)
    last_day = DateField(read_only=True)
    tolerance_ppm = WholeNumberField(minimum=0, maximum=PPM, read_only=True)
    status = WordField((IMPORTED, BOOKED), read_only=True)
    booked_against = TextField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    booked_at = InstantField(read_only=True, allow_null=True)


class ComparedBillSerializer(BillSerializer):
    """A provider's bill, day by day and model by model."""

    days = BillDaySerializer(many=True, read_only=True)

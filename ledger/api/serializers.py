"""What requests to the ledger may hold and answers show."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import (
    AMOUNT_PATTERN,
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    ReferenceField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from ledger.queries.statements import AXES
from ledger.rules.adjustments import CONTRA_KINDS
from ledger.rules.chart import KINDS
from ledger.rules.grants import KINDS as ALL_GRANT_KINDS
from ledger.rules.grants import SOURCES
from orgs.api.serializers import OrganizationSerializer

GRANT_KINDS = ("paid", "promotional")
GRANT_SCOPES = ("organization", "team", "agent", "workflow")
DIRECTIONS = ("credit", "debit")
SIGNED = "Of either sign: a credit is positive, a debit negative."


class NewOrganizationSerializer(OrganizationSerializer):
    """A new organization; only a postpaid one has a credit limit, absent: no limit."""

    currency = CurrencyField(required=False, default="USD")
    funding = WordField(("prepaid", "postpaid"), required=False, default="prepaid")
    sandbox = FlagField(required=False, default=False, help_text="Whether its clock can be moved; stays.")


class GrantSerializer(StrictSerializer):
    """A credit grant: amounts in its currency; a lower priority is burnt first."""

    id = IdField(read_only=True)
    organization = IdField()
    amount = AmountField()
    currency = CurrencyField()
    kind = WordField(GRANT_KINDS)
    source: Any = WordField(
        SOURCES, required=False, default="credit", help_text="What it is for; they are burnt in this order."
    )
    priority = WholeNumberField(minimum=-1000, maximum=1000, required=False, default=0)
    scope = WordField(GRANT_SCOPES, required=False, default="organization")
    scope_target = ReferenceField(required=False, help_text="Key or id of the team, agent or workflow.")
    effective_at = InstantField(required=False)
    expires_at = InstantField(required=False)
    reason = TextField(max_length=500)
    remaining = AmountField(read_only=True)
    held = AmountField(read_only=True)
    expired_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)


@extend_schema_serializer(component_name="Grant")
class ShownGrantSerializer(GrantSerializer):
    """A credit grant; a lower priority is burnt first, and null as its end is never."""

    kind = WordField(ALL_GRANT_KINDS)
    source = WordField(SOURCES)
    scope_target = IdField(allow_null=True)  # type: ignore[assignment]
    effective_at = InstantField()
    expires_at = InstantField(allow_null=True)


class BalanceSerializer(StrictSerializer):
    """Credit: posted - held, counting only grants that are live at `at`, is available; debt shuts the gate."""

    currency = CurrencyField(read_only=True)
    posted = AmountField(read_only=True)
    held = AmountField(read_only=True)
    available = AmountField(read_only=True)
    debt = AmountField(read_only=True)
    grants = serializers.ListField(child=ShownGrantSerializer(), read_only=True)
    at = InstantField(read_only=True)


class FundingSourceSerializer(StrictSerializer):
    """What the live grants of a source have left and hold; the list also has those that have yet to begin."""

    source = WordField(SOURCES, read_only=True)  # type: ignore[assignment]
    remaining = AmountField(read_only=True)
    held = AmountField(read_only=True)
    available = AmountField(read_only=True, help_text="Remaining less held; debt is not subtracted.")
    grants = serializers.ListField(child=ShownGrantSerializer(), read_only=True)


class FundingLineSerializer(StrictSerializer):
    """The postpaid line: `owed` is used and on no invoice yet."""

    limit = AmountField(read_only=True, allow_null=True, help_text="Null: no limit.")
    owed = AmountField(read_only=True)
    held = AmountField(read_only=True)
    available = AmountField(read_only=True, allow_null=True)


@extend_schema_serializer(many=False)
class FundingSerializer(StrictSerializer):
    """What pays for a charge, in the order in which it is taken; the line comes last, and debt shuts it."""

    currency = CurrencyField(read_only=True)
    mode = WordField(
        ("credit_only", "credit_then_invoice"),
        read_only=True,
        help_text="credit_only: the gate stops when the sources are used up.",
    )
    available = AmountField(read_only=True, allow_null=True, help_text="Null: the line has no limit.")
    debt = AmountField(read_only=True)
    sources = serializers.ListField(child=FundingSourceSerializer(), read_only=True)
    line = FundingLineSerializer(read_only=True, allow_null=True)
    at = InstantField(read_only=True)


@extend_schema_field(
    {"type": "string", "pattern": AMOUNT_PATTERN.replace("^", "^-?"), "examples": ["-12.50"]}
)
class SignedAmountField(AmountField):
    """An amount that the server states, of either sign."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, help_text=SIGNED, **kwargs)


class AccountSerializer(StrictSerializer):
    """An account of the ledger with its balance; a credit is positive."""

    id = IdField(read_only=True)
    kind = WordField(KINDS, read_only=True)
    currency = CurrencyField(read_only=True)
    counterparty = IdField(read_only=True, allow_null=True)
    posted = SignedAmountField()
    held = AmountField(read_only=True)
    debt = AmountField(read_only=True)


class EntryLineSerializer(StrictSerializer):
    """One posting."""

    account = IdField(read_only=True)
    kind = WordField(KINDS, read_only=True)
    currency = CurrencyField(read_only=True)
    amount = SignedAmountField()


class EntrySerializer(StrictSerializer):
    """A journal entry; its lines sum to zero, and it is never changed."""

    id = IdField(read_only=True)
    kind = TextField(read_only=True)
    source = TextField(read_only=True)  # type: ignore[assignment]
    idempotency_key = TextField(read_only=True)
    actor = TextField(read_only=True)
    reason = TextField(read_only=True)
    effective_at = InstantField(read_only=True)
    recorded_at = InstantField(read_only=True)
    reverses = IdField(read_only=True, allow_null=True)
    reversed_by = IdField(read_only=True, allow_null=True)
    lines = serializers.ListField(child=EntryLineSerializer(), read_only=True)


class ReasonSerializer(StrictSerializer):
    """Why."""

    reason = TextField(max_length=500)


class StatementLineSerializer(StrictSerializer):
    """One posting of the period, with the balance after it."""

    entry = IdField(read_only=True)
    at = InstantField(read_only=True)
    kind = TextField(read_only=True)
    source = TextField(read_only=True)  # type: ignore[assignment]
    reason = TextField(read_only=True)
    amount = SignedAmountField()
    balance = SignedAmountField()


@extend_schema_serializer(many=False)  # it is paged itself
class StatementSerializer(StrictSerializer):
    """An account's period [from, to): opening + lines = closing, over all pages."""

    account = IdField(read_only=True)
    currency = CurrencyField(read_only=True)
    axis = WordField(AXES, read_only=True)
    opening = SignedAmountField()
    closing = SignedAmountField()
    data = serializers.ListField(child=StatementLineSerializer(), read_only=True)  # type: ignore[assignment]
    next_cursor = TextField(read_only=True, allow_null=True)


class TrialLineSerializer(StrictSerializer):
    """All accounts of one kind and currency."""

    kind = WordField(KINDS, read_only=True)
    currency = CurrencyField(read_only=True)
    debits = SignedAmountField()
    credits = SignedAmountField()
    balance = SignedAmountField()


class TrialBalanceSerializer(StrictSerializer):
    """Debits and credits of all accounts; per currency they are equal."""

    data = serializers.ListField(child=TrialLineSerializer(), read_only=True)  # type: ignore[assignment]


class RefundSerializer(StrictSerializer):
    """An unused part of paid credit goes back."""

    amount = AmountField()
    reason = TextField(max_length=500)


class ClawbackSerializer(StrictSerializer):
    """Credit is taken back, if need be into debt; `source` names what took it, and is posted once."""

    organization = IdField()
    amount = AmountField(document_currency="currency")
    currency = CurrencyField()
    source = TextField(max_length=200)  # type: ignore[assignment]
    reason = TextField(max_length=500)


class AdjustmentSerializer(StrictSerializer):
    """A manual correction of credit: `credit` gives, `debit` takes; `contra` is the account against it."""

    id = IdField(read_only=True)
    organization = IdField()
    direction = WordField(DIRECTIONS)
    amount = AmountField()
    currency = CurrencyField()
    contra = WordField(CONTRA_KINDS)
    reason = TextField(max_length=500)
    status = WordField(("proposed", "posted", "rejected"), read_only=True)
    proposed_by = TextField(read_only=True)
    decided_by = TextField(read_only=True, allow_null=True)
    decided_at = InstantField(read_only=True, allow_null=True)
    decision_reason = TextField(read_only=True)
    entry = IdField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)

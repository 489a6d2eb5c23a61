"""What requests about dunning may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.rules.dunning.case import CLOSINGS
from billing.rules.dunning.machine import TRIGGERS
from billing.rules.dunning.policy import (
    ACTIONS,
    BEGINS_BY,
    BY_INVOICE,
    KEPT,
    MAX_ATTEMPTS,
    MAX_DAY,
    MAX_EXEMPTION_DAYS,
    MAX_PER_MINUTE,
    MAX_STEPS,
    MAX_WAIT_HOURS,
    PREPAID,
    Policy,
)
from billing.rules.dunning.states import STATES, TARGETS
from billing.rules.invoices import STATES as INVOICE_STATES
from common import fields
from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    KeyField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    TimeZoneField,
    WholeNumberField,
    WordField,
)
from spend.rules.standings import MOST_PER_MINUTE, STANDINGS

MAX_REASON: Final = 500
MAX_NAMED: Final = 100
_USUAL: Final = Policy(())
DOCUMENT: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["steps"],
    "properties": {
        "steps": {
            "type": "array",
            "maxItems": MAX_STEPS,
            "description": "In the order of their days; on one day a retry, then a notice, then what escalates. Each "
            "escalation comes once, and none before a milder one. With the trigger overdue_balance no retries.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["day", "action"],
                "properties": {
                    "day": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": MAX_DAY,
                        "description": "Days on the customer's calendar after the first overdue invoice fell due, or a "
                        "threshold was reached.",
                    },
                    "action": {"type": "string", "enum": list(ACTIONS)},
                },
            },
        },
        "throttle_per_minute": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_PER_MINUTE,
            "default": _USUAL.throttle_per_minute,
            "description": "New calls of a throttled customer in a minute, in all.",
        },
        "prepaid_credit": {
            "type": "string",
            "enum": list(PREPAID),
            "default": KEPT,
            "description": "Of a suspended customer: kept, or spendable (what it bought pays for calls still).",
        },
        "retry_wait_hours": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_WAIT_HOURS,
            "default": _USUAL.retry_wait_hours,
            "description": "How long what escalates waits for the outcome of a retry, at most.",
        },
        "longest_exemption_days": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_EXEMPTION_DAYS,
            "default": _USUAL.longest_exemption_days,
            "description": "By how many days finance extends and exempts, at most.",
        },
        "trigger": {
            "type": "string",
            "enum": list(BEGINS_BY),
            "default": BY_INVOICE,
            "description": "What opens a case: any overdue invoice, or the overdue balance of a currency that has "
            "reached its threshold. The next three fields are for the latter, which needs them.",
        },
        "thresholds": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "string"},
            "description": "From which overdue balance on a campaign begins, by currency. In another currency none "
            "begins.",
        },
        "max_attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_ATTEMPTS,
            "description": "How often what is overdue in a currency is asked for, at most.",
        },
        "days_between_attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_DAY,
            "description": f"At least, on the customer's calendar. The last attempt comes within {MAX_DAY} days.",
        },
    },
    "examples": [
        {"steps": [{"day": 3, "action": "retry"}, {"day": 10, "action": "suspend"}]},
        {
            "trigger": "overdue_balance",
            "thresholds": {"EUR": "150.00", "USD": "100.00"},
            "max_attempts": 2,
            "days_between_attempts": 2,
            "steps": [{"day": 10, "action": "suspend"}],
        },
    ],
}


@extend_schema_field(DOCUMENT)
class PolicyDocumentField(StrictField):
    """A policy's document; `billing.rules.dunning.policy` reads it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


def _plans(value: object, *, pointer: str = "") -> list[str]:
    return fields.text_list(value, pointer=pointer)


@extend_schema_field({"type": "array", "maxItems": MAX_NAMED, "items": {"type": "string"}})
class NamesField(StrictField):
    """Keys of plans, or ids of contracts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_plans, **kwargs)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class BalancesField(StrictField):
    """Amounts by currency; `billing.rules.dunning.policy` reads them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


class DunningPolicySerializer(StrictSerializer):
    """A policy: what is done when, for customers of some plans or contracts, or for all others."""

    id = IdField(read_only=True)
    key = KeyField()
    name = TextField()
    policy = PolicyDocumentField()
    plans = NamesField(required=False, help_text="Keys of plans.")
    contracts = NamesField(
        required=False, help_text="Ids of contracts; a contract's policy goes before a plan's."
    )
    is_default = FlagField(required=False, help_text="For all others, in place of the house's own.")
    number = QuantityField(
        read_only=True, help_text="Of its document; an open case keeps the one it began with."
    )
    status = WordField(("active", "archived"), read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)


class DunningPolicyChangeSerializer(StrictSerializer):
    """Changes of a policy; another document is its next version."""

    key = KeyField(read_only=True)
    name = TextField(required=False)
    policy = PolicyDocumentField(required=False)
    plans = NamesField(required=False)
    contracts = NamesField(required=False)
    is_default = FlagField(required=False)


class DunningPolicyVersionSerializer(serializers.Serializer[Any]):
    """A document that a policy had or has."""

    number = QuantityField()
    policy = PolicyDocumentField()
    made_at = InstantField()


class DunningPreviewSerializer(StrictSerializer):
    """A policy that is not saved yet, and for which invoice."""

    policy = PolicyDocumentField()
    due_at = InstantField()
    time_zone = TimeZoneField(required=False, help_text="The customer's. Default: UTC.")
    is_hard = FlagField(required=False, help_text="Every retry fails by a hard decline. Default: softly.")
    paid_on_day = WholeNumberField(minimum=0, maximum=MAX_DAY, required=False, help_text="Absent: never.")
    overdue = BalancesField(
        required=False, help_text="Overdue balances, by currency. Absent: each is at its threshold."
    )


class DunningMomentSerializer(serializers.Serializer[Any]):
    """What happens at a moment, and what holds after it."""

    at = InstantField()
    day = WholeNumberField(minimum=0, maximum=MAX_DAY + 2 * MAX_EXEMPTION_DAYS)
    event = TextField()
    state = WordField(STATES)
    standing = WordField(STANDINGS)
    notice = TextField(allow_null=True, help_text="What the customer is told.")
    why = TextField(allow_null=True, help_text="Why a step had nothing to do.")
    currency = CurrencyField(allow_null=True, help_text="Of a campaign.")
    attempt = WholeNumberField(
        minimum=1, maximum=MAX_ATTEMPTS, allow_null=True, help_text="Which of the campaign it is."
    )


class DunningTimelineSerializer(serializers.Serializer[Any]):
    """What a policy would do."""

    policy = PolicyDocumentField()
    timeline = DunningMomentSerializer(many=True)


class DunnedInvoiceSerializer(serializers.Serializer[Any]):
    """An invoice that the case still waits for."""

    id = IdField()
    number = TextField()
    status = WordField(INVOICE_STATES)
    currency = CurrencyField()
    due = AmountField()
    due_at = InstantField()


class DunningStepSerializer(serializers.Serializer[Any]):
    """A step to come."""

    day = WholeNumberField(minimum=0, maximum=MAX_DAY)
    action = WordField(ACTIONS)
    at = InstantField()


class DunningFailureSerializer(serializers.Serializer[Any]):
    """Why the last payment did not go."""

    invoice = IdField()
    code = TextField()
    decline_code = TextField(allow_null=True)
    at = InstantField()


class DunningCampaignSerializer(serializers.Serializer[Any]):
    """A currency whose overdue balance is at its threshold, by a policy with the trigger overdue_balance."""

    currency = CurrencyField()
    threshold = AmountField()
    attempts = WholeNumberField(minimum=0, maximum=MAX_ATTEMPTS, help_text="Made, or passed over.")
    max_attempts = WholeNumberField(minimum=1, maximum=MAX_ATTEMPTS)
    next_at = InstantField(
        allow_null=True, help_text="When the next attempt is due; null: there is none left."
    )


class DunningCaseSerializer(serializers.Serializer[Any]):
    """A customer in arrears: one is open for each organization."""

    id = IdField()
    organization = IdField()
    state = WordField(STATES)
    standing = WordField(STANDINGS, help_text="What the gate obeys.")
    per_minute = WholeNumberField(minimum=1, maximum=MOST_PER_MINUTE, allow_null=True)
    spends_credit = FlagField(help_text="Suspended, but credit that was bought still pays.")
    policy_id = IdField(allow_null=True, help_text="Null: the house's own.")
    policy_number = WholeNumberField(minimum=0, maximum=2**31)
    policy = PolicyDocumentField(help_text="As it was when the case was opened.")
    time_zone = TimeZoneField(help_text="Whose days are counted.")
    due_since = InstantField(help_text="Day 0: when its first invoice fell due.")
    opened_at = InstantField()
    since = InstantField(help_text="Since when it is in its state.")
    invoices = serializers.ListField(child=IdField(), help_text="All that joined it.")
    unpaid = DunnedInvoiceSerializer(many=True)
    upcoming = DunningStepSerializer(many=True)
    waits_for = serializers.ListField(
        child=IdField(), help_text="Invoices whose payment is under way; steps wait."
    )
    waits_until = InstantField(allow_null=True)
    failures = QuantityField()
    last_failure = DunningFailureSerializer(allow_null=True)
    is_hard = FlagField(help_text="Retries are skipped until there is a new payment method.")
    extended_until = InstantField(allow_null=True)
    exempt_until = InstantField(allow_null=True)
    next_at = InstantField(allow_null=True, help_text="When something is due.")
    closed_at = InstantField(allow_null=True)
    closing = WordField(CLOSINGS, allow_null=True)
    campaigns = DunningCampaignSerializer(many=True)
    version = QuantityField()


class DunningEventSerializer(serializers.Serializer[Any]):
    """What happened to a case: trigger, time and actor of each."""

    seq = WholeNumberField(minimum=0, maximum=2**53)
    at = InstantField()
    due_at = InstantField(allow_null=True, help_text="When it was due; later only after a standstill.")
    event = TextField()
    state = WordField(STATES, help_text="After it.")
    trigger = WordField(TRIGGERS)
    actor = TextField()
    reason = TextField(allow_null=True)
    notice = TextField(allow_null=True)
    why = TextField(allow_null=True)
    currency = CurrencyField(allow_null=True, help_text="Of a campaign whose attempt it is.")
    attempt = WholeNumberField(minimum=1, maximum=MAX_ATTEMPTS, allow_null=True)
    began = serializers.ListField(
        child=CurrencyField(), allow_null=True, help_text="Currencies whose campaign began."
    )
    ended = serializers.ListField(
        child=CurrencyField(), allow_null=True, help_text="Currencies below their thresholds."
    )


class DunningCaseDetailSerializer(DunningCaseSerializer):
    """A case with everything that happened to it, oldest first, at most 500."""

    timeline = DunningEventSerializer(many=True)


class DunningReasonSerializer(StrictSerializer):
    """Why."""

    reason = TextField(max_length=MAX_REASON, multiline=True)


class DunningDaysSerializer(DunningReasonSerializer):
    """For how long, and why."""

    days = WholeNumberField(
        minimum=1, maximum=MAX_EXEMPTION_DAYS, help_text="At most what the case's policy allows (usually 30)."
    )


class DunningMoveSerializer(DunningReasonSerializer):
    """Where to, and why."""

    to = WordField(TARGETS)

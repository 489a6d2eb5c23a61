"""What answers about calls show: reservations, decisions, usage, runs and reports. Nothing here is read from a body."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    MeteredQuantityField,
    PriceField,
    QuantityField,
    TextField,
    WholeNumberField,
    WordField,
)
from spend.api.pace_serializers import RunBurnRateSerializer
from spend.api.serializers import LimitField, RunSerializer
from spend.api.switch_serializers import SwitchSerializer
from spend.queries.attribution import DIMENSIONS
from spend.queries.decisions import ANSWERS
from spend.queries.fundingsums import PAYERS
from spend.queries.observed import KINDS
from spend.queries.reservations import STATUSES
from spend.queries.usage import OUTCOMES

LARGEST: Final = 10**6
IN_UNIT: Final = "In `unit`: a decimal string in money, digits in TOKENS, CREDITS and RISK_POINTS."


@extend_schema_field({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}})
class CountsField(serializers.DictField):
    """Calls by tool."""


@extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/RunChild"}})
class ChildrenField(serializers.Field[Any, Any, Any, Any]):
    """The runs below; the schema names itself."""


def small(**kwargs: Any) -> WholeNumberField:
    """A step, attempt or hop."""
    return WholeNumberField(minimum=0, maximum=LARGEST, **kwargs)


class AttributedToSerializer(serializers.Serializer[Any]):
    """Whom a call is attributed to, by key or label; null: not said."""

    agent = TextField(allow_null=True)
    team = TextField(allow_null=True)
    workflow = TextField(allow_null=True)
    run = TextField(allow_null=True)
    connection = TextField(allow_null=True)
    user = TextField(allow_null=True)


class CalledSerializer(serializers.Serializer[Any]):
    """What was called; what was not said is left out."""

    kind = TextField(required=False)
    provider = TextField(required=False)
    model = TextField(required=False)
    tool = TextField(required=False)


class ActionSerializer(CalledSerializer):
    """What was called, and its place in the chain; what was not said is left out."""

    fingerprint = TextField(required=False)
    step = small(required=False)
    attempt = small(required=False)
    parent_task = TextField(required=False)
    hop = small(required=False)


class LayerSerializer(serializers.Serializer[Any]):
    """A budget that a reservation holds on, with what its window holds and has spent now."""

    id = IdField()
    scope = TextField()
    target = TextField(allow_null=True)
    window = TextField()
    unit = TextField()
    limit = LimitField(help_text=IN_UNIT)
    spent = LimitField(help_text=IN_UNIT)
    held = LimitField(help_text=IN_UNIT)
    remaining = LimitField(help_text=IN_UNIT)
    resets_at = InstantField(allow_null=True)
    requested = LimitField(help_text="What this reservation asked of it. " + IN_UNIT)


class CapsSerializer(serializers.Serializer[Any]):
    """What an allowed call is limited to; empty: nothing."""

    max_output_tokens = QuantityField(required=False)
    models = serializers.ListField(child=TextField(), required=False)
    tools = serializers.ListField(child=TextField(), required=False)
    cooldown_ms = QuantityField(required=False)
    steps_remaining = QuantityField(required=False)


class FundedBySerializer(serializers.Serializer[Any]):
    """What paid for a part of the charge; the parts sum to it."""

    source = WordField(PAYERS)  # type: ignore[assignment]
    grant = IdField(allow_null=True, help_text="Of an allowance, a commitment or credit.")
    amount = AmountField()


class FundingPartSerializer(serializers.Serializer[Any]):
    """What a source paid of the charges of a period."""

    source = WordField(PAYERS)  # type: ignore[assignment]
    charge = AmountField()


class FundingReportSerializer(serializers.Serializer[Any]):
    """Charges by what paid for them: the parts and `retired` sum to exactly the total."""

    to = InstantField(allow_null=True)
    currency = CurrencyField()
    data = FundingPartSerializer(many=True)  # type: ignore[assignment]
    retired = AmountField(help_text="Of records that are kept as sums only, without a receipt.")
    total = AmountField()

    def get_fields(self) -> dict[str, Any]:
        """`from`, too, which Python keeps for itself."""
        return {"from": InstantField(allow_null=True), **super().get_fields()}


class MeteredSerializer(serializers.Serializer[Any]):
    """What was charged without passing the gate: a meter's quantity of a period [start, end), rated by billing."""

    meter = TextField()
    charge = TextField(help_text="The key of the plan's or contract's charge.")
    start = InstantField()
    end = InstantField()
    quantity = TextField(required=False)


class ReservationSerializer(serializers.Serializer[Any]):
    """A reservation: what it holds, for whom, and how it ended."""

    id = IdField()
    organization = IdField()
    decision = WordField(("allow", "allow_with_caps"))
    status = WordField(STATUSES)
    subject = AttributedToSerializer()
    action = ActionSerializer()
    held = AmountField()
    currency = CurrencyField()
    estimated_cost = AmountField()
    price_version = IdField(allow_null=True)
    created_at = InstantField()
    expires_at = InstantField()
    remaining_ttl_ms = QuantityField(allow_null=True, help_text="Null when it has ended.")
    ended_at = InstantField(allow_null=True)
    charged = AmountField(allow_null=True)
    overage = AmountField(allow_null=True)
    late = FlagField()
    caps = CapsSerializer()
    budgets = LayerSerializer(many=True)
    funding = FundedBySerializer(many=True, help_text="What it holds; of a committed one what paid for it.")


class BindingSerializer(serializers.Serializer[Any]):
    """What refused: a budget, credit, a rate limit, a run's rule, a switch, or a duty (agent, connection, …), which has
    no figures. `rule` names what is no budget; of a default of the house it is left out."""

    scope = TextField()
    target = TextField(allow_null=True)
    budget_id = IdField(required=False)
    rule = IdField(required=False)
    limit = LimitField(required=False)
    spent = LimitField(required=False)
    held = LimitField(required=False)
    requested = LimitField(required=False)
    remaining = LimitField(required=False)
    resets_at = InstantField(required=False, allow_null=True)
    unit = TextField(required=False)
    kind = TextField(required=False, help_text="Of a meter: rate, dunning, throttle, steps or ceiling.")
    burst = LimitField(required=False)
    percent = QuantityField(required=False, help_text="The level of a budget that waits for a person.")
    amount = LimitField(required=False)
    model = TextField(required=False, help_text="What a cap does not allow; beside it what it does.")
    models = serializers.ListField(child=TextField(), required=False)
    tool = TextField(required=False)
    tools = serializers.ListField(child=TextField(), required=False)
    reason = TextField(required=False, help_text="Why the switch is set.")
    since = InstantField(required=False)
    case = IdField(required=False, help_text="Of a suspension: the dunning case.")
    resolution = TextField(required=False, help_text="Of a suspension: what to do.")
    incident = IdField(required=False, allow_null=True)
    step = QuantityField(required=False)
    attempt = QuantityField(required=False)
    pause_ms = QuantityField(required=False, help_text="Between the attempt before and this one.")
    fingerprint = TextField(required=False)
    repeats = QuantityField(required=False)
    window = QuantityField(required=False, help_text="Of a loop: how many calls were looked at.")
    cooldown_ms = QuantityField(required=False)


class AlsoFailingSerializer(BindingSerializer):
    """Another layer that was in the way, too."""

    code = TextField()


class ObservedSerializer(serializers.Serializer[Any]):
    """A rule in observe mode that would have refused the call. `rule` null: a default of the house."""

    rule = IdField(allow_null=True)
    kind = WordField(KINDS)
    code = TextField()
    scope = TextField(allow_null=True)
    target = TextField(allow_null=True)


class DecisionSerializer(serializers.Serializer[Any]):
    """One answer of the gate; equal denials of one transaction are one with a count."""

    id = IdField()
    at = InstantField()
    answer = WordField(ANSWERS)
    code = TextField(allow_null=True)
    count = QuantityField()
    dry_run = FlagField()
    requested = LimitField(help_text=IN_UNIT)
    unit = TextField()
    currency = CurrencyField()
    agent = TextField(allow_null=True)
    run = TextField(allow_null=True)
    reservation = IdField(allow_null=True)
    binding_scope = TextField(allow_null=True)
    budget_id = IdField(allow_null=True)
    budget_version = QuantityField(allow_null=True)
    binding = BindingSerializer(allow_null=True)
    also_failing = AlsoFailingSerializer(many=True)
    observed = ObservedSerializer(many=True, help_text="What rules in observe mode would have refused.")
    funding = FundedBySerializer(many=True, help_text="The receipt of the reservation as it is now.")


class CountedSerializer(serializers.Serializer[Any]):
    """Inclusive counts: cached tokens are part of input, reasoning tokens part of output."""

    input_tokens = QuantityField()
    cache_read_input_tokens = QuantityField()
    cache_creation_input_tokens = QuantityField()
    output_tokens = QuantityField()
    reasoning_output_tokens = QuantityField()
    tool_calls = CountsField()


class PriceLineSerializer(serializers.Serializer[Any]):
    """A component of the cost, in the currency of its price."""

    component = TextField()
    quantity = MeteredQuantityField()
    cost = PriceField()
    currency = CurrencyField()


class UsageRecordSerializer(serializers.Serializer[Any]):
    """A usage record, or (`object`: denial) a denied call with cost 0, which has no more than the required fields."""

    object = WordField(("usage", "denial"))
    id = IdField()
    occurred_at = InstantField()
    recorded_at = InstantField()
    outcome = WordField(OUTCOMES)
    reason = TextField(allow_null=True)
    count = QuantityField()
    subject = AttributedToSerializer()
    action = CalledSerializer()
    cost = AmountField()
    charge = AmountField()
    currency = CurrencyField()
    reservation = IdField(required=False, allow_null=True)
    price_version = IdField(required=False, allow_null=True)
    fx_rate = IdField(required=False, allow_null=True)
    latency_ms = QuantityField(required=False, allow_null=True)
    step = small(required=False, allow_null=True)
    attempt = small(required=False, allow_null=True)
    hop = small(required=False, allow_null=True)
    parent_task = TextField(required=False, allow_null=True)
    root_run = TextField(required=False, allow_null=True)
    response_id = TextField(required=False, allow_null=True)
    source = TextField(required=False, allow_null=True)  # type: ignore[assignment]
    external_id = TextField(required=False, allow_null=True)
    adjustment = FlagField(required=False)
    usage = CountedSerializer(required=False)
    components = PriceLineSerializer(many=True, required=False)
    funding = FundedBySerializer(many=True, required=False)
    metered = MeteredSerializer(required=False)


class TotalsSerializer(serializers.Serializer[Any]):
    """Live totals of runs."""

    held = AmountField()
    charged = AmountField()
    cost = AmountField()
    tokens = QuantityField()
    tool_calls = QuantityField()
    reservations = QuantityField()
    usage_records = QuantityField()


class SpentSerializer(serializers.Serializer[Any]):
    """Calls with their cost and charge."""

    calls = QuantityField()
    cost = AmountField()
    charge = AmountField()


class RunStepSerializer(SpentSerializer):
    """A run's own calls of one branch; what was not said is left out."""

    hop = small(required=False)
    parent_task = TextField(required=False)
    step = small(required=False)
    attempt = small(required=False)
    kind = TextField(required=False)
    model = TextField(required=False)
    tool = TextField(required=False)


class RunChildSerializer(TotalsSerializer):
    """A run below another with its own totals, and with those of everything below it."""

    id = IdField()
    key = TextField()
    agent = TextField(allow_null=True)
    status = TextField()
    total = TotalsSerializer()
    retries = SpentSerializer()
    children = ChildrenField()


class RunTreeSerializer(RunSerializer):
    """A run with its own totals, the totals of all below it, its own cost by step, and its child runs."""

    total = TotalsSerializer()
    burn_rate = RunBurnRateSerializer()
    retries = SpentSerializer(help_text="Its calls that were a second or later attempt.")
    steps = RunStepSerializer(many=True)
    children = RunChildSerializer(many=True)
    switch = SwitchSerializer(
        allow_null=True, help_text="The live switch of it or of a run above it that decides; null: none."
    )


class AttributedFiguresSerializer(serializers.Serializer[Any]):
    """Sums of usage; by user, run and tool there are calls, cost and charge only."""

    calls = QuantityField()
    input_tokens = QuantityField(required=False)
    cache_read_input_tokens = QuantityField(required=False)
    output_tokens = QuantityField(required=False)
    tool_calls = QuantityField(required=False)
    cost = AmountField()
    charge = AmountField()


class AttributedRowSerializer(AttributedFiguresSerializer):
    """Usage of one value of the dimension; shares of the charge, of all rows, sum to exactly 1."""

    key = TextField(allow_null=True, help_text="Null: unattributed, or all the others.")
    id = IdField(required=False)
    provider = TextField(required=False, help_text="Of a model.")
    share = TextField()


class AttributionSerializer(serializers.Serializer[Any]):
    """Usage of a period by one dimension: data + other + unattributed sum to exactly the total."""

    group_by = WordField(DIMENSIONS)
    to = InstantField(allow_null=True)
    currency = CurrencyField()
    data = AttributedRowSerializer(many=True)  # type: ignore[assignment]
    other = AttributedRowSerializer(allow_null=True)
    unattributed = AttributedRowSerializer()
    total = AttributedFiguresSerializer()

    def get_fields(self) -> dict[str, Any]:
        """`from`, too, which Python keeps for itself."""
        return {"from": InstantField(allow_null=True), **super().get_fields()}


class FixBodySerializer(serializers.Serializer[Any]):
    """The body of the call that gives a target its cap, but for the limit."""

    scope = TextField()
    target = TextField(required=False)
    window = TextField()
    currency = TextField()


class FixSerializer(serializers.Serializer[Any]):
    """The call that gives a target its cap."""

    method = TextField()
    path = TextField()
    body = FixBodySerializer()
    add = serializers.ListField(child=TextField(), help_text="What to add to the body: your choice.")


class UncappedTargetSerializer(serializers.Serializer[Any]):
    """A target without a budget of its own; target null: the organization, or runs and users as such."""

    scope = TextField()
    target_id = IdField(allow_null=True)
    target = TextField(allow_null=True)
    covered_by = serializers.ListField(child=TextField(), help_text="Wider scopes that still limit it.")
    fix = FixSerializer()


class UncappedSerializer(serializers.Serializer[Any]):
    """Every target without a budget of its own; those that nothing wider limits come first."""

    data = UncappedTargetSerializer(many=True)  # type: ignore[assignment]

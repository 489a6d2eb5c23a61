"""What answers about measured spend show: observed rules, suggested limits, estimates. Nothing is read from a body."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    QuantityField,
    TextField,
    TimeZoneField,
    WordField,
)
from spend.queries.estimates import BASES
from spend.queries.observed import KINDS
from spend.rules.budgetfacts import MODES
from spend.rules.budgets import SCOPES
from spend.rules.suggesting import CONFIDENCES, METHOD, REASONS

SUGGESTED_FOR: Final = ("organization", "team", "agent", "workflow", "connection", "run")
SUGGESTED_WINDOWS: Final = ("day", "week", "month", "run")


class ModeBodySerializer(serializers.Serializer[Any]):
    """The body that sets the mode."""

    mode = WordField(("enforce",))


class EnforceSerializer(serializers.Serializer[Any]):
    """The one call that switches the rule to enforce."""

    method = WordField(("PATCH",))
    path = TextField()
    body = ModeBodySerializer()


class ObservedByCodeSerializer(serializers.Serializer[Any]):
    """Calls that the rule would have blocked with one code."""

    kind = WordField(KINDS)
    code = TextField()
    calls = QuantityField()
    requested = AmountField()


class ObservedAgentSerializer(serializers.Serializer[Any]):
    """Calls of one agent that the rule would have blocked."""

    agent = TextField()
    calls = QuantityField()
    requested = AmountField()


class ObservedFiguresSerializer(serializers.Serializer[Any]):
    """Calls that passed and would have been blocked."""

    calls = QuantityField()
    requested = AmountField(help_text="What they asked for: the sum of their estimates.")
    charged = AmountField(help_text="What those of them that are committed were charged.")
    first_at = InstantField(allow_null=True)
    last_at = InstantField(allow_null=True)
    summary = TextField()


class ObservedRuleSerializer(ObservedFiguresSerializer):
    """What one rule would have blocked. `rule` null: a default of the house."""

    rule = IdField(allow_null=True)
    kind = WordField(KINDS)
    scope = TextField(allow_null=True)
    target = TextField(allow_null=True)
    mode = WordField(MODES, allow_null=True)
    by_code = ObservedByCodeSerializer(many=True)
    agents = ObservedAgentSerializer(many=True, help_text="The five that it would have hit most.")
    enforce = EnforceSerializer(allow_null=True, help_text="Null where there is nothing to switch.")


class ObservedReportSerializer(serializers.Serializer[Any]):
    """What rules in observe mode would have blocked; a call of two rules counts once in the total."""

    to = InstantField(allow_null=True)
    currency = CurrencyField()
    data = ObservedRuleSerializer(many=True)  # type: ignore[assignment]
    total = ObservedFiguresSerializer()

    def get_fields(self) -> dict[str, Any]:
        """`from`, too, which Python keeps for itself."""
        return {"from": InstantField(allow_null=True), **super().get_fields()}


class SpentInWindowSerializer(serializers.Serializer[Any]):
    """What was spent in one window, or in one run."""

    run = TextField(required=False, help_text="The key of the run, where the window is a run.")
    start = InstantField()
    end = InstantField(allow_null=True)
    spent = AmountField()


class PresentBudgetSerializer(serializers.Serializer[Any]):
    """A budget in money that limits the target now."""

    id = IdField()
    target = TextField(allow_null=True, help_text="Null: every one of the scope has its own.")
    window = TextField()
    limit = AmountField()
    mode = WordField(MODES)


class NewLimitSerializer(serializers.Serializer[Any]):
    """The body of the call: a new limit, or a new budget in observe mode."""

    scope = WordField(SCOPES, required=False)
    target = TextField(required=False)
    window = TextField(required=False)
    limit = AmountField()
    currency = CurrencyField(required=False)
    mode = WordField(MODES, required=False)


class ApplySerializer(serializers.Serializer[Any]):
    """The one call that takes the suggestion."""

    method = WordField(("PATCH", "POST"))
    path = TextField()
    body = NewLimitSerializer()


class LimitSuggestionSerializer(serializers.Serializer[Any]):
    """A limit for one target and window from what was measured, or the reason why there is none."""

    scope = WordField(SUGGESTED_FOR)
    target = TextField(allow_null=True)
    target_id = IdField(allow_null=True)
    window = WordField(SUGGESTED_WINDOWS)
    time_zone = TimeZoneField()
    currency = CurrencyField()
    percentile = QuantityField()
    method = WordField((METHOD,))
    headroom = TextField()
    suggested_limit = AmountField(allow_null=True)
    unrounded = AmountField(allow_null=True, help_text="The percentile times the headroom.")
    measured = AmountField(allow_null=True, help_text="The percentile.")
    reason = WordField(REASONS, allow_null=True)
    window_count = QuantityField()
    windows = SpentInWindowSerializer(many=True, help_text="The figures that it is taken of, oldest first.")
    budgets = PresentBudgetSerializer(many=True)
    apply = ApplySerializer(allow_null=True)


class AmountPercentilesSerializer(serializers.Serializer[Any]):
    """Percentiles of an amount."""

    p50 = AmountField()
    p80 = AmountField()
    p95 = AmountField()


class CountPercentilesSerializer(serializers.Serializer[Any]):
    """Percentiles of a count."""

    p50 = QuantityField()
    p80 = QuantityField()
    p95 = QuantityField()


class AmountEstimateSerializer(serializers.Serializer[Any]):
    """An estimate as a reservation takes it."""

    amount = AmountField()


class MeasuredSerializer(serializers.Serializer[Any]):
    """Of how many samples, and how far they are to be trusted: low below 5, medium to 29, high from 30."""

    samples = QuantityField()
    confidence = WordField(CONFIDENCES)


class CallEstimateSerializer(MeasuredSerializer):
    """What one call took; the figures are null without a sample."""

    basis = WordField(BASES)
    charge = AmountPercentilesSerializer(allow_null=True)
    input_tokens = CountPercentilesSerializer(allow_null=True)
    output_tokens = CountPercentilesSerializer(allow_null=True)
    estimate = AmountEstimateSerializer(
        allow_null=True, help_text="For a reservation: p95 of the charge. Null below medium confidence."
    )


class RunEstimateSerializer(MeasuredSerializer):
    """What one run took with all its child runs; the figures are null without a sample."""

    charge = AmountPercentilesSerializer(allow_null=True)
    tokens = CountPercentilesSerializer(allow_null=True)
    calls = CountPercentilesSerializer(allow_null=True)
    suggested_run_limit = AmountField(
        allow_null=True, help_text="p95 of the charge times 1.2, rounded up. Null below medium confidence."
    )


class ForecastSerializer(serializers.Serializer[Any]):
    """What a call and a run are expected to take, from history."""

    agent = TextField(allow_null=True)
    workflow = TextField(allow_null=True)
    provider = TextField(allow_null=True)
    model = TextField(allow_null=True)
    currency = CurrencyField()
    to = InstantField()
    method = WordField((METHOD,))
    call = CallEstimateSerializer()
    run = RunEstimateSerializer(allow_null=True, help_text="Null to a limited key.")

    def get_fields(self) -> dict[str, Any]:
        """`from`, too, which Python keeps for itself."""
        return {"from": InstantField(), **super().get_fields()}


class EstimateErrorFiguresSerializer(serializers.Serializer[Any]):
    """How far estimates were from what was charged; ratios are charged / estimated, cut to four decimals."""

    calls = QuantityField()
    estimated = AmountField()
    charged = AmountField()
    error = TextField(help_text="charged - estimated, with its sign.")
    absolute_error = AmountField(help_text="The sum of all calls' differences, whatever their sign.")
    underestimated_calls = QuantityField()
    overage = AmountField(help_text="What was charged above the estimates.")
    ratio = TextField(allow_null=True)


class EstimateErrorSerializer(EstimateErrorFiguresSerializer):
    """The errors of one agent's estimates for one model."""

    agent = TextField()
    provider = TextField(allow_null=True)
    model = TextField(allow_null=True)
    ratio_p50 = TextField(allow_null=True)
    ratio_p95 = TextField(allow_null=True)


class EstimateReportSerializer(serializers.Serializer[Any]):
    """Estimate against actual, by agent and model."""

    to = InstantField()
    currency = CurrencyField()
    data = EstimateErrorSerializer(many=True)  # type: ignore[assignment]
    has_more = FlagField()
    total = EstimateErrorFiguresSerializer()

    def get_fields(self) -> dict[str, Any]:
        """`from`, too, which Python keeps for itself."""
        return {"from": InstantField(), **super().get_fields()}

"""What answers about revenue metrics show. The fields of a row are the columns of its CSV file, in this order."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.invoice_serializers import SignedAmountField
from billing.api.revenue_serializers import MonthField
from common import fields
from common.api.serializers import (
    AmountField,
    CurrencyField,
    DateField,
    IdField,
    QuantityField,
    StrictField,
    TextField,
    WholeNumberField,
    WordField,
)
from payouts.queries.metrics.reports import BASES, NOT_A_MONTH, TOTAL
from payouts.rules.metrics.figures import NO_CUSTOMERS, ZERO_CHURN


@extend_schema_field(
    {"type": ["string", "null"], "pattern": r"^-?[0-9]+\.[0-9]{6}$", "examples": ["0.200000"]}
)
class ShareField(StrictField):
    """A share or rate with six decimals; null of nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.text, read_only=True, allow_null=True, **kwargs)


@extend_schema_field(
    {"type": "string", "pattern": f"^([0-9]{{4}}-(0[1-9]|1[0-2])|{TOTAL})$", "examples": ["2026-03"]}
)
class SpanField(StrictField):
    """A month, or the whole span."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.text, read_only=True, **kwargs)


def _amount(**given: Any) -> AmountField:
    return AmountField(read_only=True, **given)


def _count(**given: Any) -> QuantityField:
    return QuantityField(read_only=True, **given)


class MrrSerializer(serializers.Serializer[Any]):
    """What recurs at a moment, in one currency."""

    currency = CurrencyField(read_only=True)
    mrr = _amount(help_text="Net of discounts; without use, one-time charges, trials and pauses.")
    arr = _amount(help_text="12 x mrr")
    committed_mrr = _amount(help_text="What mrr will be when all that is arranged now has happened.")
    trial_mrr = _amount(help_text="What running trials would come to; not part of mrr.")
    past_due_mrr = _amount(help_text="What of mrr belongs to subscriptions that are past due.")
    customers = _count(help_text="Customers with an mrr above 0.")
    arpa = _amount(allow_null=True, help_text="mrr / customers")
    sources = _count(help_text="Subscriptions and contracts with an mrr above 0.")
    trials = _count()
    paused = _count()
    usage_run_rate = _amount(
        help_text="A month of use at the rate of the last 28 whole days; not part of mrr."
    )


class MovementMonthSerializer(serializers.Serializer[Any]):
    """A month of one currency: start + new + expansion + reactivation - contraction - churn = end."""

    currency = CurrencyField(read_only=True)
    month = MonthField()
    start = _amount()
    new = _amount(help_text="The first ever of a customer.")
    expansion = _amount()
    reactivation = _amount(help_text="Of customers that came back.")
    contraction = _amount()
    churn = _amount(help_text="Of customers that have nothing left.")
    end = _amount()
    arr = _amount(help_text="12 x end")
    customers_start = _count()
    customers_new = _count()
    customers_reactivated = _count()
    customers_churned = _count()
    customers_end = _count()
    arpa = _amount(allow_null=True, help_text="end / customers_end")


class RetentionSerializer(serializers.Serializer[Any]):
    """A month of one currency, or the whole span (`total`)."""

    currency = CurrencyField(read_only=True)
    period = SpanField()
    start = _amount()
    gross_retention = ShareField(help_text="What is left of start, without growth.")
    net_retention = ShareField(help_text="What the customers of start have at the end, of start.")
    gross_churn = ShareField(help_text="(churn + contraction) / start")
    net_churn = ShareField(help_text="(churn + contraction - expansion - reactivation) / start")
    customers_start = _count()
    customers_lost = _count(help_text="Of the customers of the start, those without anything at the end.")
    customer_churn = ShareField(help_text="customers_lost / customers_start")
    lifetime_value = _amount(allow_null=True, help_text="arpa / customer_churn")
    lifetime_value_reason = WordField(
        (ZERO_CHURN, NO_CUSTOMERS, NOT_A_MONTH),
        read_only=True,
        allow_null=True,
        help_text="Why there is none.",
    )


class CohortSerializer(serializers.Serializer[Any]):
    """The customers that began in a month, at the end of a month."""

    currency = CurrencyField(read_only=True)
    cohort = MonthField()
    age = _count(help_text="Months since the cohort's own.")
    month = MonthField()
    size = _count(help_text="Customers that began.")
    began_with = _amount()
    customers = _count()
    mrr = _amount()
    customer_retention = ShareField(help_text="customers / size")
    mrr_retention = ShareField(help_text="mrr / began_with")


class RevenueMonthSerializer(serializers.Serializer[Any]):
    """What the journal earned in a month (UTC) of business time."""

    currency = CurrencyField(read_only=True)
    month = MonthField()
    gross_revenue = SignedAmountField(help_text="Revenue, breakage, platform fees and partners' shares.")
    partner_share = SignedAmountField(help_text="What partners earned, less clawed_back.")
    clawed_back = SignedAmountField(
        help_text="What partners lost again of it, by credit notes and write-offs."
    )
    promotions = SignedAmountField(help_text="Credit that was given away.")
    net_revenue = SignedAmountField(help_text="gross_revenue - partner_share - promotions")
    platform_fee = SignedAmountField()
    take_rate = ShareField(help_text="platform_fee / (platform_fee + partner_share + clawed_back)")
    provider_cost = SignedAmountField()
    margin = SignedAmountField(help_text="net_revenue - provider_cost")
    margin_rate = ShareField(help_text="margin / net_revenue")


class UsedSerializer(serializers.Serializer[Any]):
    """Use of one model, agent or customer."""

    currency = CurrencyField(read_only=True)
    organization = IdField(read_only=True, allow_null=True)
    organization_name = TextField(read_only=True, allow_null=True)
    agent = IdField(read_only=True, allow_null=True)
    key = TextField(read_only=True, allow_null=True, help_text="Of the model or the agent.")
    provider = TextField(read_only=True, allow_null=True)
    calls = _count()
    charge = SignedAmountField()


class MarginSerializer(UsedSerializer):
    """What use was charged, and what it cost the platform."""

    cost = SignedAmountField(help_text="Without calls that the customer's own key paid for.")
    margin = SignedAmountField(help_text="charge - cost, before partners' shares.")
    margin_rate = ShareField(help_text="margin / charge")
    partner_share = SignedAmountField(help_text="What partners get of the charge, by the terms of each call.")
    platform_margin = SignedAmountField(help_text="charge - partner_share - cost")
    platform_margin_rate = ShareField(help_text="platform_margin / (charge - partner_share)")


class TopCustomerSerializer(serializers.Serializer[Any]):
    """A customer by what it brought."""

    currency = CurrencyField(read_only=True)
    rank = _count()
    organization = IdField(read_only=True)
    organization_name = TextField(read_only=True)
    gross_revenue = SignedAmountField()
    net_revenue = SignedAmountField()
    share = ShareField(help_text="Of the gross revenue of all customers.")


class TopAgentSerializer(UsedSerializer):
    """An agent by what it was charged."""

    rank = _count()
    share = ShareField(help_text="Of the charges of all agents.")


class ConcentrationSerializer(serializers.Serializer[Any]):
    """How much stands on few customers."""

    currency = CurrencyField(read_only=True)
    basis = WordField(BASES, read_only=True)
    customers = _count()
    total = _amount()
    top = _count(help_text="How many customers are the largest.")
    top_amount = _amount()
    top_share = ShareField()
    hhi = WholeNumberField(
        minimum=0, maximum=10_000, read_only=True, allow_null=True, help_text="Herfindahl-Hirschman index."
    )


class RunRateSerializer(serializers.Serializer[Any]):
    """Use of the last 28 whole days (UTC), [from, to)."""

    currency = CurrencyField(read_only=True)
    charged = _amount()
    monthly = _amount(help_text="charged x 365 / 12 / 28")
    annual = _amount(help_text="charged x 365 / 28")

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name in Python."""
        found = super().get_fields()
        days = {"from": DateField(read_only=True), "to": DateField(read_only=True)}
        return {"currency": found.pop("currency"), **days, **found}

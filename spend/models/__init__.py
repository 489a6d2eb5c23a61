"""The rows of this app as Django reads them (admin): facts and projections, written by operations and SQL alone.

The tables are made by migrations/sql; `managed = False` keeps Django from touching them. Money is in units of 10^-8,
TOKENS, CREDITS and RISK_POINTS are whole numbers. Objects name their organization by id: every query names it (S109).
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from spend.models.entitled import GateEntitlement as GateEntitlement
from spend.models.standings import Standing as Standing
from spend.models.stops import Incident as Incident
from spend.models.stops import Switch as Switch
from spend.models.velocity import VelocityRule as VelocityRule


class Budget(models.Model):
    """A limit on spending: scope, target, window, unit and thresholds (S25). No grant passes it (S1)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    scope = models.TextField()
    target_id = models.UUIDField(null=True)
    target_label = models.TextField(null=True)
    window_kind = models.TextField()
    rolling_seconds = models.IntegerField(null=True)
    unit = models.TextField()
    measure = models.TextField()
    amount_limit = models.BigIntegerField()
    overdraft = models.BigIntegerField()
    mode = models.TextField()
    time_zone = models.TextField()
    thresholds = models.JSONField()
    arming = models.IntegerField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "budgets"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.scope} {self.window_kind}"


class BudgetCounter(models.Model):
    """What one target holds and has spent in one window of a budget; of a rolling budget, in one bucket (L4)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    number = models.IntegerField()
    budget = models.ForeignKey(Budget, models.DO_NOTHING, db_constraint=False)
    target = models.TextField()
    window_start = models.DateTimeField()
    window_end = models.DateTimeField(null=True)
    held = models.BigIntegerField()
    spent = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "budget_counters"
        ordering: ClassVar = ["-window_start"]

    def __str__(self) -> str:
        return f"{self.target} from {self.window_start:%Y-%m-%d %H:%M}"


class RateLimit(models.Model):
    """How many requests, tokens, tool calls or open reservations may be, beside money (S48)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    scope = models.TextField()
    target_id = models.UUIDField(null=True)
    target_label = models.TextField(null=True)
    per = models.TextField(null=True)
    unit = models.TextField()
    direction = models.TextField(null=True)
    amount_limit = models.BigIntegerField()
    window_kind = models.TextField(null=True)
    burst = models.BigIntegerField(null=True)
    behaviour = models.TextField()
    escalate_denials = models.IntegerField(null=True)
    escalate_seconds = models.IntegerField(null=True)
    active_from = models.TextField(null=True)
    active_until = models.TextField(null=True)
    time_zone = models.TextField()
    mode = models.TextField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "rate_limits"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.scope} {self.amount_limit} {self.unit} {self.window_kind or ''}".strip()


class BudgetOverride(models.Model):
    """A budget raised for one run, until a time, or both (S42); it ends by itself or by a person."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    budget = models.ForeignKey(Budget, models.DO_NOTHING, db_constraint=False)
    target = models.TextField(null=True)
    run_key = models.TextField(null=True)
    extra = models.BigIntegerField()
    reason = models.TextField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    ended_by = models.TextField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "budget_overrides"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class Approval(models.Model):
    """A threshold that was crossed and waits for a person, once per window and arming (S35); it is decided once."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    budget = models.ForeignKey(Budget, models.DO_NOTHING, db_constraint=False)
    counter = models.IntegerField()
    target = models.TextField()
    label = models.TextField(null=True)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField(null=True)
    armed = models.IntegerField()
    rank = models.SmallIntegerField()
    percent = models.IntegerField(null=True)
    amount = models.BigIntegerField(null=True)
    used = models.BigIntegerField()
    amount_limit = models.BigIntegerField()
    unit = models.TextField()
    agent_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    status = models.TextField()
    asked_at = models.DateTimeField()
    decided_by = models.TextField(null=True)
    decided_at = models.DateTimeField(null=True)
    reason = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "approvals"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class Run(models.Model):
    """One piece of work of an agent, made by its first use; a child run draws from its root's budgets (S46)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    key = models.TextField()
    root_id = models.UUIDField()
    parent_id = models.UUIDField(null=True)
    agent_id = models.UUIDField()
    workflow_id = models.UUIDField(null=True)
    status = models.TextField()
    started_at = models.DateTimeField()
    held = models.BigIntegerField()
    charged = models.BigIntegerField()
    cost = models.BigIntegerField()
    tokens = models.BigIntegerField()
    tool_calls = models.BigIntegerField()
    reservations = models.BigIntegerField()
    usage_count = models.BigIntegerField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "runs"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.key


class Reservation(models.Model):
    """A hold on every budget layer and on the funding, with the receipt of both (S2, S29); it ends once (L5)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    agent_id = models.UUIDField()
    team_id = models.UUIDField(null=True)
    workflow_id = models.UUIDField(null=True)
    connection_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    root_run_id = models.UUIDField(null=True)
    price_version = models.UUIDField(null=True)
    held = models.BigIntegerField()
    estimated_cost = models.BigIntegerField()
    tokens = models.BigIntegerField(null=True)
    credits = models.BigIntegerField(null=True)
    risk_points = models.BigIntegerField(null=True)
    charged = models.BigIntegerField(null=True)
    overage = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    version = models.IntegerField()
    status = models.TextField()
    late = models.BooleanField()
    user_label = models.TextField(null=True)
    action = models.JSONField()
    counters = ArrayField(models.IntegerField())
    measures = models.TextField()
    funding = models.JSONField()
    own_key = models.BooleanField()

    class Meta:
        managed = False
        db_table = "reservations"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class Decision(models.Model):
    """A fact: one answer of the gate (S47); equal denials of one transaction are one with a count."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    recorded_at = models.DateTimeField()
    at = models.DateTimeField()
    requested = models.BigIntegerField()
    agent_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    reservation_id = models.UUIDField(null=True)
    binding_budget = models.UUIDField(null=True)
    binding_version = models.IntegerField(null=True)
    count = models.IntegerField()
    dry = models.BooleanField()
    answer = models.TextField()
    code = models.TextField(null=True)
    binding_scope = models.TextField(null=True)
    detail = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "decisions"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.code or self.answer


class UsageRecord(models.Model):
    """A fact: one model or tool call with its cost and charge (S13, S14); `funding` sums to the charge (S9)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    recorded_at = models.DateTimeField()
    occurred_at = models.DateTimeField()
    cost = models.BigIntegerField()
    charge = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cache_read_input_tokens = models.BigIntegerField()
    cache_creation_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_output_tokens = models.BigIntegerField()
    tool_calls = models.BigIntegerField()
    reservation_id = models.UUIDField(null=True)
    agent_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    workflow_id = models.UUIDField(null=True)
    connection_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    root_run_id = models.UUIDField(null=True)
    price_version = models.UUIDField(null=True)
    fx_rate = models.UUIDField(null=True)
    latency_ms = models.IntegerField(null=True)
    step = models.IntegerField(null=True)
    attempt = models.IntegerField(null=True)
    hop = models.IntegerField(null=True)
    adjustment = models.BooleanField()
    currency = models.TextField()
    outcome = models.TextField()
    reason = models.TextField(null=True)
    kind = models.TextField(null=True)
    provider = models.TextField(null=True)
    model = models.TextField(null=True)
    tool = models.TextField(null=True)
    user_label = models.TextField(null=True)
    parent_task = models.TextField(null=True)
    response_id = models.TextField(null=True)
    source = models.TextField(null=True)
    external_id = models.TextField(null=True)
    funding = models.JSONField()
    detail = models.JSONField(null=True)
    raw = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "usage_records"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class PriceVersion(models.Model):
    """One dated price of a model with all its components; never re-dated (S22)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    kind = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    currency = models.TextField()
    components = models.JSONField()
    variants = models.JSONField()
    daily_from = models.IntegerField(null=True)
    daily_to = models.IntegerField(null=True)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    source = models.TextField()
    source_version = models.TextField()
    approved_by = models.TextField(null=True)
    published_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "price_versions"
        ordering: ClassVar = ["provider", "model", "-valid_from"]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


class ToolPrice(models.Model):
    """One dated price of a tool, by exact name, prefix* or *."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    pattern = models.TextField()
    unit = models.TextField()
    amount = models.BigIntegerField(help_text="10^-12 of the currency's major unit")
    per = models.IntegerField()
    currency = models.TextField()
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    source = models.TextField()
    published_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "tool_prices"
        ordering: ClassVar = ["pattern", "-valid_from"]

    def __str__(self) -> str:
        return self.pattern


class PriceChange(models.Model):
    """Prices of a model in the source that differ from the book's; they hold only when a person approves them."""

    id = models.UUIDField(primary_key=True)
    provider = models.TextField()
    model = models.TextField()
    status = models.TextField()
    current = models.JSONField()
    proposal = models.JSONField()
    source = models.TextField()
    source_version = models.TextField()
    source_digest = models.TextField()
    proposed_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField(null=True)
    reason = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "price_changes"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


class Markup(models.Model):
    """What is added to the book's prices in an organization's charges, or by default; never re-dated."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    ppm = models.BigIntegerField()
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    reason = models.TextField()
    published_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "markups"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.ppm} ppm"


class ExchangeRate(models.Model):
    """One unit of base in units of quote, in 10^-12; never re-dated (S22b)."""

    id = models.UUIDField(primary_key=True)
    base = models.TextField()
    quote = models.TextField()
    rate = models.BigIntegerField()
    markup_ppm = models.BigIntegerField()
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    source = models.TextField()
    published_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "fx_rates"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.base} in {self.quote}"


class RunPolicy(models.Model):
    """Ceilings, attempts and loop detection for the runs of a scope (S54 to S56)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    scope = models.TextField()
    target_id = models.UUIDField(null=True)
    target_label = models.TextField(null=True)
    rules = models.JSONField()
    mode = models.TextField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "run_policies"
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "run policies"

    def __str__(self) -> str:
        return f"{self.scope} {', '.join(self.rules)}"


class UncappedTarget(models.Model):
    """A target that no enforced budget in money limits (S44). Worked out when it is asked for; there is no table."""

    class Meta:
        managed = False

    def __str__(self) -> str:
        return str(self.pk)

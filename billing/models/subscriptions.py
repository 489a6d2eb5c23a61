"""Subscriptions and metered periods, as the staff reads them; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Subscription(models.Model):
    """What a customer subscribed to: at most one change and one cancellation wait, and no period is billed twice."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    status = models.TextField()
    currency = models.TextField()
    funding = models.TextField()
    plan = models.UUIDField()
    plan_version = models.UUIDField()
    quantities = models.JSONField()
    add_ons = models.JSONField()
    agreed = models.JSONField(null=True)
    starts_at = models.DateTimeField()
    trial_end = models.DateTimeField(null=True)
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)
    coupons = models.JSONField()
    pending = models.JSONField(null=True)
    change_at = models.DateTimeField(null=True)
    cancel_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    resumes_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "subscriptions"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.status} since {self.starts_at:%Y-%m-%d}"


class MeteredPeriod(models.Model):
    """Use of one metered charge in one period; on at most one invoice (B1)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    subscription = models.UUIDField()
    charge_key = models.TextField()
    meter = models.TextField()
    plan_version = models.UUIDField()
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    created_at = models.DateTimeField()
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    interval = models.TextField()
    share = models.TextField()
    ahead = models.TextField()
    agreed = models.JSONField(null=True)
    invoice_id = models.UUIDField(null=True)
    line = models.IntegerField(null=True)

    class Meta:
        managed = False
        db_table = "metered_periods"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.charge_key} from {self.start_at:%Y-%m-%d}"

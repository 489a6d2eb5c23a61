"""Reconciliation as the staff reads it; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Reconciliation(models.Model):
    """One comparison of the books with themselves and with the processor."""

    id = models.UUIDField(primary_key=True)
    period = models.DateField()
    cause = models.TextField()
    status = models.TextField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    steps = models.JSONField()
    done = models.JSONField()
    differences = models.JSONField()
    balances = models.JSONField(help_text="10^-8 units")
    is_clean = models.BooleanField(null=True)
    error = models.TextField(null=True)
    attempts = models.IntegerField()
    author = models.TextField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "reconciliations"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.period} {self.cause}"


class ReconciliationDifference(models.Model):
    """What differed, since when, and what became of it."""

    id = models.UUIDField(primary_key=True)
    run = models.UUIDField()
    last_run = models.UUIDField()
    kind = models.TextField()
    class_name = models.TextField(db_column="class")
    subject = models.TextField()
    organization = models.UUIDField(null=True)
    amount = models.BigIntegerField(null=True)
    currency = models.TextField(null=True)
    detail = models.JSONField()
    outcome = models.TextField()
    finding = models.UUIDField(null=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "reconciliation_differences"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.class_name} {self.subject}"


class ProcessorItem(models.Model):
    """A balance transaction that no object of ours explains, as it stands in the platform's books."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    balance_transaction = models.TextField()
    subject = models.TextField()
    category = models.TextField()
    amount = models.BigIntegerField()
    fee = models.BigIntegerField()
    currency = models.TextField()
    booked_to = models.TextField()
    status = models.TextField()
    assigned_to = models.UUIDField(null=True)
    assigned_invoice = models.UUIDField(null=True)
    reason = models.TextField(null=True)
    created_at = models.DateTimeField()
    booked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "processor_items"
        ordering: ClassVar = ["-booked_at", "id"]

    def __str__(self) -> str:
        return f"{self.balance_transaction} {self.status}"


class ProviderBill(models.Model):
    """What a provider billed for its models."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    provider = models.TextField()
    digest = models.TextField()
    currency = models.TextField()
    total = models.BigIntegerField()
    first_day = models.DateField()
    last_day = models.DateField()
    tolerance_ppm = models.IntegerField()
    lines = models.JSONField()
    status = models.TextField()
    booked_against = models.TextField(null=True)
    imported_by = models.TextField()
    created_at = models.DateTimeField()
    booked_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "provider_bills"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.provider} {self.first_day}"

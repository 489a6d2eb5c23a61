"""Recognition schedules and accounting months, as the staff reads them; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RecognitionSchedule(models.Model):
    """When an invoiced fee is revenue. What is recognised is in the journal; amount less that is deferred still."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    invoice_id = models.UUIDField()
    line = models.IntegerField()
    item_id = models.UUIDField(null=True)
    subscription = models.UUIDField(null=True)
    currency = models.TextField()
    billed = models.BigIntegerField(help_text="10^-8 units")
    included = models.BigIntegerField(help_text="10^-8 units")
    changes = models.JSONField()
    amount = models.BigIntegerField(help_text="10^-8 units")
    service_start = models.DateTimeField()
    service_end = models.DateTimeField()
    method = models.TextField()
    zone = models.TextField()
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    recognised = models.BigIntegerField(help_text="10^-8 units")
    recognised_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    status = models.TextField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "recognition_schedules"
        ordering: ClassVar = ["-opened_at", "id"]

    def __str__(self) -> str:
        return f"{self.status} {self.invoice_id}/{self.line}"


class AccountingPeriod(models.Model):
    """A month of a seller's books: closed, its figures stay."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    legal_entity = models.UUIDField()
    month = models.DateField()
    status = models.TextField()
    reason = models.TextField()
    changed_at = models.DateTimeField()
    changed_by = models.TextField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "accounting_periods"
        ordering: ClassVar = ["-month", "legal_entity"]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.status}"


class MonthReport(models.Model):
    """Trial balance and roll-forward of a month. Worked out when it is asked for; there is no table."""

    class Meta:
        managed = False

    def __str__(self) -> str:
        return str(self.pk)

"""Invoices as the staff reads them; only operations write them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing.models.letters import Letter


class Invoice(models.Model):
    """What a customer owes, as a document: from its number on it never changes (B3)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    status = models.TextField()
    cause = models.TextField()
    number = models.TextField(null=True)
    currency = models.TextField()
    dated_at = models.DateTimeField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    finalize_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    subtotal = models.BigIntegerField()
    discount = models.BigIntegerField()
    net = models.BigIntegerField()
    tax = models.BigIntegerField()
    total = models.BigIntegerField()
    paid = models.BigIntegerField()
    credited = models.BigIntegerField()
    written_off = models.BigIntegerField()
    error = models.TextField(null=True)
    created_at = models.DateTimeField()
    finalized_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "invoices"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.number or f"draft {self.id}"


class CreditNote(models.Model):
    """What an invoice was corrected by; it stays as it is."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    invoice_id = models.UUIDField()
    number = models.TextField()
    reason = models.TextField()
    currency = models.TextField()
    dated_at = models.DateTimeField()
    net = models.BigIntegerField()
    tax = models.BigIntegerField()
    total = models.BigIntegerField()
    receivable = models.BigIntegerField()
    credit = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "credit_notes"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.number


class DocumentLetter(Letter):
    """The letter that an invoice or a credit note goes out with by itself."""

    document = models.UUIDField()
    kind = models.TextField()

    class Meta:
        managed = False
        db_table = "document_letters"
        ordering: ClassVar = ["-made_at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.document}: {self.status}"


class BillingRun(models.Model):
    """A customer whose billing is in work, or meets trouble."""

    organization = models.UUIDField(primary_key=True)
    claimed_at = models.DateTimeField(null=True)
    failures = models.IntegerField()
    failed_at = models.DateTimeField(null=True)
    last_error = models.TextField(null=True)
    parked_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "billing_runs"
        ordering: ClassVar = ["-failed_at"]

    def __str__(self) -> str:
        return str(self.organization)

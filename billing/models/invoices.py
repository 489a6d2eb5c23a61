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


class InvoiceItem(models.Model):
    """What a customer owes besides use, or is owed: on one living invoice at most (B1)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    kind = models.TextField()
    description = models.TextField()
    currency = models.TextField()
    amount = models.BigIntegerField(help_text="10^-8 units; below zero it is owed back")
    subscription = models.UUIDField(null=True)
    contract = models.UUIDField(null=True)
    charge_key = models.TextField(null=True)
    service_start = models.DateTimeField(null=True)
    service_end = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    discountable = models.BooleanField()
    tax_code = models.TextField()
    source = models.TextField()
    created_at = models.DateTimeField()
    invoice_id = models.UUIDField(null=True)
    line = models.IntegerField(null=True)

    class Meta:
        managed = False
        db_table = "invoice_items"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.description


class BillingCycle(models.Model):
    """Where a customer's billing stands."""

    organization = models.UUIDField(primary_key=True)
    cycle_start = models.DateTimeField()
    next_at = models.DateTimeField()
    threshold = models.BigIntegerField(null=True, help_text="10^-8 units")
    progressive = models.JSONField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "billing_customers"
        ordering: ClassVar = ["organization"]

    def __str__(self) -> str:
        return str(self.organization)

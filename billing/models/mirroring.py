"""What is mirrored from the processor, as the staff reads it; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class MirroredCustomer(models.Model):
    """Which organization a customer at the processor is."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    customer = models.TextField()
    linked_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "mirrored_customers"
        ordering: ClassVar = ["customer"]

    def __str__(self) -> str:
        return self.customer


class MirroredSubscription(models.Model):
    """A subscription that lives at the processor. It is never written there."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    subscription = models.TextField()
    customer = models.TextField()
    status = models.TextField()
    items = models.JSONField()
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)
    cancel_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "mirrored_subscriptions"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.subscription} {self.status}"


class MirroredInvoice(models.Model):
    """An invoice that lives at the processor, and the credit that its payment gave, once."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    invoice = models.TextField()
    subscription = models.TextField(null=True)
    customer = models.TextField()
    number = models.TextField(null=True)
    status = models.TextField()
    currency = models.TextField()
    total = models.BigIntegerField(help_text="10^-8 units")
    paid = models.BigIntegerField(help_text="10^-8 units")
    remaining = models.BigIntegerField(help_text="10^-8 units")
    failed = models.BooleanField()
    due_at = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    grant_id = models.UUIDField(null=True)
    credit = models.BigIntegerField(help_text="10^-8 units")
    attempts = models.IntegerField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "mirrored_invoices"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.invoice} {self.status}"


class CreditPrice(models.Model):
    """How much credit a price of the processor gives on a paid invoice."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    price = models.TextField()
    name = models.TextField()
    credit = models.BigIntegerField(help_text="10^-8 units")
    currency = models.TextField()
    lifetime_days = models.IntegerField(null=True)
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "credit_prices"
        ordering: ClassVar = ["price"]

    def __str__(self) -> str:
        return self.price

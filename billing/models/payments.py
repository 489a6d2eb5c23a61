"""Payments, disputes, payouts of the platform, findings and automatic top-ups, as the staff reads them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing.models.letters import Letter


class Payment(models.Model):
    """A payment by the processor: what came, what went back, what it cost."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    purpose = models.TextField()
    invoice_id = models.UUIDField(null=True)
    cause = models.TextField()
    amount = models.BigIntegerField(help_text="10^-8 units")
    currency = models.TextField()
    command = models.UUIDField(null=True)
    status = models.TextField()
    intent = models.TextField(null=True)
    charge = models.TextField(null=True)
    customer = models.TextField(null=True)
    method = models.TextField(null=True)
    failure = models.JSONField(null=True)
    received = models.BigIntegerField(help_text="10^-8 units")
    settled = models.BigIntegerField(help_text="10^-8 units; of what came: paid its invoice")
    excess = models.BigIntegerField(help_text="10^-8 units; of what came: became credit")
    refunded = models.BigIntegerField(help_text="10^-8 units")
    disputed = models.BigIntegerField(help_text="10^-8 units")
    credit_back = models.BigIntegerField(help_text="10^-8 units; of what went back: taken of the credit")
    invoice_back = models.BigIntegerField(help_text="10^-8 units; of what went back: the invoice's")
    reopened = models.BigIntegerField(help_text="10^-8 units; of that: owed on the invoice now")
    beyond = models.BigIntegerField(help_text="10^-8 units; of what went back: in suspense")
    fee = models.BigIntegerField(help_text="10^-8 units")
    applied = models.JSONField(help_text="keys of the effects that are booked")
    created_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "payments"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.intent or str(self.id)


class Dispute(models.Model):
    """A payer's bank took money back, and the processor with it."""

    id = models.TextField(primary_key=True)
    organization = models.UUIDField()
    payment_id = models.UUIDField()
    amount = models.BigIntegerField(help_text="10^-8 units")
    currency = models.TextField()
    status = models.TextField()
    reason = models.TextField()
    withdrawn = models.BigIntegerField(help_text="10^-8 units")
    fee = models.BigIntegerField(help_text="10^-8 units")
    evidence_due_by = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "disputes"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.id


class ProcessorPayout(models.Model):
    """Money of the platform on its way from the processor to the bank."""

    id = models.UUIDField(primary_key=True)
    payout = models.TextField()
    amount = models.BigIntegerField(help_text="10^-8 units")
    currency = models.TextField()
    status = models.TextField()
    in_transit = models.BigIntegerField(help_text="10^-8 units")
    arrived = models.BigIntegerField(help_text="10^-8 units")
    fee = models.BigIntegerField(help_text="10^-8 units")
    arrival = models.DateTimeField()
    created_at = models.DateTimeField()
    failure = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "processor_payouts"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.payout


class Finding(models.Model):
    """A difference that a person must see."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    kind = models.TextField()
    subject = models.TextField()
    status = models.TextField()
    detail = models.JSONField()
    proposed = models.JSONField(null=True)
    assigned_to = models.TextField(null=True)
    notes = models.JSONField()
    opened_at = models.DateTimeField()
    opened_by = models.TextField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.TextField(null=True)
    resolution = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "findings"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class AutoTopUp(models.Model):
    """When credit of an organization is bought without anybody asking."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    enabled = models.BooleanField()
    threshold = models.BigIntegerField(help_text="10^-8 units")
    amount = models.BigIntegerField(help_text="10^-8 units")
    currency = models.TextField()
    cool_off_seconds = models.IntegerField()
    monthly_cap = models.BigIntegerField(null=True, help_text="10^-8 units")
    status = models.TextField()
    failures = models.IntegerField()
    stopped_reason = models.TextField(null=True)
    last_payment = models.UUIDField(null=True)
    last_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "auto_top_ups"
        ordering: ClassVar = ["organization"]

    def __str__(self) -> str:
        return f"{self.status} {self.organization}"


class AutoTopUpLetter(Letter):
    """The letter that automatic top-ups have stopped."""

    rule = models.UUIDField()

    class Meta:
        managed = False
        db_table = "auto_top_up_letters"
        ordering: ClassVar = ["-made_at", "id"]

    def __str__(self) -> str:
        return f"{self.organization}: {self.status}"

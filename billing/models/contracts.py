"""Contracts and the windows of their commitments, as the staff reads them; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Contract(models.Model):
    """What was agreed with a customer for a term. What is settled is never rewritten; a version never changes."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    status = models.TextField()
    name = models.TextField()
    currency = models.TextField()
    purchase_order = models.TextField(null=True)
    net_days = models.IntegerField()
    zone = models.TextField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    kind = models.TextField(null=True)
    number = models.IntegerField()
    versions = models.JSONField()
    features = models.JSONField()
    activated_at = models.DateTimeField(null=True)
    terminates_at = models.DateTimeField(null=True)
    termination = models.TextField(null=True)
    reason = models.TextField()
    ended_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "contracts"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"


class ContractWindow(models.Model):
    """One window of a commitment: the customer pays max(committed, used) for it, with overage as agreed."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    contract = models.UUIDField()
    number = models.IntegerField()
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    settle_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    status = models.TextField()
    amount = models.BigIntegerField()
    used = models.BigIntegerField()
    line = models.BigIntegerField()
    overage = models.BigIntegerField()
    true_up = models.BigIntegerField()
    lapsed = models.BigIntegerField()
    rolled = models.BigIntegerField()
    credited = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "contract_windows"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"window {self.number} from {self.start_at:%Y-%m-%d}"

"""The rows of the ledger as Django reads them (admin). Only operations and projections write them.

The tables are made by migrations/sql; `managed = False` keeps Django from touching them. Amounts are integers in
units of 10^-8 of the currency's major unit; credit is positive, debit negative.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Account(models.Model):
    """A row of the books: one kind and currency of an organization. L3: posted of a live one sums its postings."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    kind = models.TextField()
    currency = models.TextField()
    counterparty = models.UUIDField(null=True)
    live = models.BooleanField(help_text="Has a limit: posted and held stand in this row.")
    posted = models.BigIntegerField(help_text="10^-8 units; of a live account")
    held = models.BigIntegerField(help_text="10^-8 units")
    debt = models.BigIntegerField(help_text="10^-8 units")
    credit_limit = models.BigIntegerField(null=True, help_text="10^-8 units; empty: no floor")
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "accounts"
        ordering: ClassVar = ["organization", "kind"]

    def __str__(self) -> str:
        return f"{self.kind} {self.currency}"


class JournalEntry(models.Model):
    """A fact: postings that sum to zero (L1). Never changed (L2); corrected by a reversing entry."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    epoch = models.IntegerField()
    reverses = models.UUIDField(null=True)
    kind = models.TextField()
    source = models.TextField()
    idempotency_key = models.TextField()
    actor = models.TextField()
    reason = models.TextField()

    class Meta:
        managed = False
        db_table = "journal_entries"
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "journal entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class CreditGrant(models.Model):
    """Credit that was given, and what of it remains. L7: the remaining of all, less debt, is the posted credit."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    account_id = models.UUIDField()
    kind = models.TextField()
    currency = models.TextField()
    priority = models.IntegerField()
    scope = models.TextField()
    scope_target = models.UUIDField(null=True)
    amount = models.BigIntegerField(help_text="10^-8 units")
    remaining = models.BigIntegerField(help_text="10^-8 units")
    held = models.BigIntegerField(help_text="10^-8 units")
    cost_basis = models.BigIntegerField(help_text="10^-8 units")
    effective_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    expired_at = models.DateTimeField(null=True)
    reason = models.TextField()
    source = models.TextField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    funding_source = models.TextField()
    gift = models.BigIntegerField(help_text="10^-8 units")
    breaks_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "credit_grants"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Hold(models.Model):
    """An amount set aside on a live account. It is placed, then ends exactly once (L5)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    account_id = models.UUIDField()
    amount = models.BigIntegerField(help_text="10^-8 units")
    placed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    status = models.TextField()
    grants = ArrayField(models.UUIDField())
    grant_amounts = ArrayField(models.BigIntegerField())
    source = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "holds"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.status} {self.id}"


class Adjustment(models.Model):
    """A manual correction of credit: proposed by one person, above the limit decided by another (S12)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    amount = models.BigIntegerField(help_text="10^-8 units; above zero gives credit, below takes it")
    currency = models.TextField()
    contra_kind = models.TextField()
    reason = models.TextField()
    status = models.TextField()
    proposed_by = models.TextField()
    decided_by = models.TextField(null=True)
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.TextField()
    entry_id = models.UUIDField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "adjustments"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.status} {self.id}"

"""The rows of the marketplace as the staff reads them; only projections write them (managed = False)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from payouts.models.paying import PartnerStatement, Payout, PayoutBatch

__all__ = ["EarningPair", "Listing", "Partner", "PartnerStatement", "Payout", "PayoutBatch", "RevenueShare"]


class Partner(models.Model):
    """An organization that publishes listings and is paid its share."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    currency = models.TextField()
    status = models.TextField()
    minimum = models.BigIntegerField(null=True, help_text="10^-8 units; empty: the currency's default")
    schedule = models.TextField()
    holdback_days = models.IntegerField()
    reserve_rate = models.IntegerField(help_text="millionths")
    hold_reason = models.TextField(null=True, help_text="why its payouts are held; empty: they are not")
    stripe_account = models.TextField(null=True)
    country = models.TextField(null=True)
    destination = models.TextField(null=True)
    destination_changed_at = models.DateTimeField(null=True)
    payouts_enabled = models.BooleanField()
    disabled_reason = models.TextField(null=True)
    requirements = models.JSONField()
    created_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "partners"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.organization}: {self.status}"


class Listing(models.Model):
    """An agent that a partner offers."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField(help_text="the partner")
    key = models.TextField()
    key_folded = models.TextField()
    name = models.TextField()
    description = models.TextField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "listings"
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key


class RevenueShare(models.Model):
    """What the platform keeps and who gets the rest, from a moment on."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField(help_text="the partner")
    listing_id = models.UUIDField(null=True, help_text="empty: all of its listings")
    plan = models.TextField(null=True, help_text="empty: all callers")
    valid_from = models.DateTimeField()
    terms = models.JSONField()
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "revenue_shares"
        ordering: ClassVar = ["-valid_from", "id"]

    def __str__(self) -> str:
        return f"{self.organization} from {self.valid_from:%Y-%m-%d}"

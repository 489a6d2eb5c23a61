"""Stripe's events as the staff reads them; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class StripeEvent(models.Model):
    """A verified event of Stripe and what became of it. It was stored once, whatever how often it was delivered."""

    id = models.UUIDField(primary_key=True)
    source = models.TextField()
    account = models.TextField()
    event = models.TextField()
    type = models.TextField()
    api_version = models.TextField(null=True)
    livemode = models.BooleanField(null=True)
    created = models.DateTimeField()
    via = models.TextField()
    secret = models.SmallIntegerField(null=True, help_text="0 is the newest of the secrets")
    body = models.BinaryField()
    kind = models.TextField()
    object_id = models.TextField()
    subject = models.TextField()
    state = models.TextField()
    reason = models.TextField(null=True)
    detail = models.TextField(null=True)
    attempts = models.SmallIntegerField()
    parkings = models.SmallIntegerField()
    next_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "stripe_events"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.event} {self.type}"


class StripeWatermark(models.Model):
    """How far the list of an account's events was read for a group of types."""

    id = models.TextField(primary_key=True)
    account = models.TextField()
    types = models.TextField()
    event = models.TextField(null=True)
    created = models.DateTimeField(null=True)
    read_at = models.DateTimeField()
    swept_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "stripe_watermarks"
        ordering: ClassVar = ["account", "types"]

    def __str__(self) -> str:
        return f"{self.account or 'platform'} {self.types}"

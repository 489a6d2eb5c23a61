"""Endpoints and deliveries of outbound webhooks; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class WebhookEndpoint(models.Model):
    """Where an organization is told of events. Its secrets stand sealed in a table that nobody is shown."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    url = models.TextField()
    description = models.TextField()
    event_types = models.JSONField()
    low_credit = models.JSONField(help_text="10^-8 units")
    status = models.TextField()
    disabled_reason = models.TextField(null=True)
    disabled_at = models.DateTimeField(null=True)
    secret_ids = models.JSONField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "webhook_endpoints"
        ordering: ClassVar = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One message on its way to one endpoint."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    endpoint = models.ForeignKey(
        WebhookEndpoint, models.DO_NOTHING, db_column="endpoint", db_constraint=False
    )
    message_id = models.UUIDField(db_column="message")
    event_type = models.TextField()
    number = models.BigIntegerField()
    status = models.TextField()
    attempts = models.IntegerField()
    next_at = models.DateTimeField()
    tries = models.JSONField()
    response_status = models.IntegerField(null=True)
    error = models.TextField(null=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "webhook_deliveries"
        ordering: ClassVar = ["-number"]
        verbose_name_plural = "webhook deliveries"

    def __str__(self) -> str:
        return f"{self.event_type} {self.status}"

"""Meters, meter events and backfills, as the staff reads them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Meter(models.Model):
    """What is counted of usage records or events, and how. Only its name and description ever change."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    key = models.TextField()
    name = models.TextField()
    description = models.TextField(null=True)
    source = models.TextField()
    event_type = models.TextField(null=True)
    aggregation = models.TextField()
    value_property = models.TextField(null=True)
    unique_property = models.TextField(null=True)
    filters = models.JSONField()
    group_by = models.JSONField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "meters"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.key


class MeterEvent(models.Model):
    """Something said about an event: that it happened (sign 1), or that a row before does not count (sign -1)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    recorded_at = models.DateTimeField()
    occurred_at = models.DateTimeField()
    event_id = models.UUIDField()
    cancels = models.UUIDField(null=True)
    backfill_id = models.UUIDField(null=True)
    sign = models.SmallIntegerField()
    adjustment = models.BooleanField()
    source = models.TextField()
    external_id = models.TextField()
    type = models.TextField()
    subject = models.TextField(null=True)
    data = models.JSONField()
    actor = models.TextField()
    reason = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "meter_events"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"


class EventBackfill(models.Model):
    """A named batch of events of the past; it is reverted as a whole, once, or never."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    name = models.TextField()
    reason = models.TextField()
    status = models.TextField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    reverted_by = models.TextField(null=True)
    reverted_at = models.DateTimeField(null=True)
    revert_reason = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "event_backfills"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.name

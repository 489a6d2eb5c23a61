"""The event store's rows as Django reads them (lists, admin). Facts: nobody writes them through the ORM.

The tables are made by migrations/sql; `managed = False` keeps Django from touching them.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Event(models.Model):
    """One fact of a stream. Never changed, never deleted (L2); `seq` is unique and, inside an organization, the
    order of commits."""

    seq = models.BigIntegerField(primary_key=True)
    organization = models.UUIDField()
    stream_type = models.TextField()
    stream_id = models.UUIDField()
    version = models.IntegerField()
    type = models.TextField()
    schema = models.SmallIntegerField()
    data = models.JSONField()
    actor = models.TextField()
    cause = models.TextField(null=True)
    idempotency_key = models.TextField(null=True)
    epoch = models.IntegerField()
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "events"
        ordering: ClassVar = ["-seq"]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class Seal(models.Model):
    """One closed batch of facts: what was in it, and the hash that chains it to the seal before (E2)."""

    number = models.BigIntegerField(primary_key=True)
    epoch = models.IntegerField()
    seq_after = models.BigIntegerField()
    seq_to = models.BigIntegerField()
    event_count = models.IntegerField()
    root = models.BinaryField()
    previous = models.BinaryField()
    hash = models.BinaryField()
    sealed_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "seals"
        ordering: ClassVar = ["-number"]

    def __str__(self) -> str:
        return f"seal {self.number}"


class Checkpoint(models.Model):
    """A copy of the projections at a position, kept as files; `manifest` holds each file's digest."""

    id = models.UUIDField(primary_key=True)
    epoch = models.IntegerField()
    seq = models.BigIntegerField()
    location = models.TextField()
    manifest = models.JSONField()
    taken_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "checkpoints"
        ordering: ClassVar = ["-taken_at"]

    def __str__(self) -> str:
        return f"checkpoint at {self.seq}"


class Subscriber(models.Model):
    """What became of a reader's last tries; a parked one waits for a person."""

    name = models.TextField(primary_key=True)
    state = models.TextField()
    failures = models.IntegerField()
    last_error = models.TextField()
    failed_at = models.DateTimeField(null=True)
    attempted_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "event_subscribers"
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

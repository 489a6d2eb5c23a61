"""When an agent's pace is an alert, as the staff reads it; see the package's words on these models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class VelocityRule(models.Model):
    """From which pace on an agent's spending is an alert (S57); an agent's own rule goes before the organization's."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    scope = models.TextField()
    target_id = models.UUIDField(null=True)
    factor = models.IntegerField()
    minimum = models.BigIntegerField()
    history_hours = models.IntegerField()
    action = models.TextField()
    mode = models.TextField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "velocity_rules"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.scope} x {self.factor}"

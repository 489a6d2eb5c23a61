"""What the gate obeys of customers' entitlements, as the staff reads it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class GateEntitlement(models.Model):
    """What a customer may call, as published from its plans and contracts; only billing publishes it."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    features = models.JSONField()
    line = models.TextField(null=True)
    credit_limit = models.BigIntegerField(null=True, help_text="10^-8 units")
    line_source = models.TextField(null=True)
    next_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "gate_entitlements"
        ordering: ClassVar = ["organization"]

    def __str__(self) -> str:
        return f"{self.organization}: {', '.join(self.features) or 'nothing'}"

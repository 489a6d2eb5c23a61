"""How customers in arrears stand, as the staff reads it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Standing(models.Model):
    """What the gate obeys of a customer that owes something overdue; only dunning publishes it."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    standing = models.TextField()
    since = models.DateTimeField()
    per_minute = models.IntegerField(null=True)
    case_id = models.UUIDField(null=True)
    spends_credit = models.BooleanField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "standings"
        ordering: ClassVar = ["-since", "id"]

    def __str__(self) -> str:
        return f"{self.organization}: {self.standing}"

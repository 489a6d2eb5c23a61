"""Switches and incidents as Django reads them (admin)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Switch(models.Model):
    """One target that may not work: paused or killed until a person lifts it, or a run that is stopped (S60)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    scope = models.TextField()
    target_id = models.UUIDField(null=True)
    target_label = models.TextField(null=True)
    kind = models.TextField()
    mode = models.TextField()
    cause = models.TextField()
    incident_id = models.UUIDField(null=True)
    reason = models.TextField()
    set_by = models.TextField()
    set_at = models.DateTimeField()
    lifted_by = models.TextField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "switches"
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "switches"

    def __str__(self) -> str:
        return f"{self.kind} of {self.scope} {self.target_label or self.target_id or ''}".rstrip()


class Incident(models.Model):
    """A rule that acted, with its evidence and who released it (S59); `spent` in units of 10^-8."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    trigger = models.TextField()
    mode = models.TextField()
    action = models.TextField()
    scope = models.TextField()
    target_id = models.UUIDField(null=True)
    target_label = models.TextField(null=True)
    agent_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    run_key = models.TextField(null=True)
    rule_id = models.UUIDField(null=True)
    switch_id = models.UUIDField(null=True)
    spent = models.BigIntegerField()
    evidence = models.JSONField()
    began_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)
    released_by = models.TextField(null=True)
    release_reason = models.TextField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "incidents"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.trigger}: {self.action}"

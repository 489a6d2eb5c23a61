"""Dunning as the staff reads it; the case's state is guarded by the same table that the machine decides by."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django_fsm import ConcurrentTransitionMixin, FSMField, transition

from billing.models.letters import Letter
from billing.rules.dunning.states import (
    CANCELED,
    CLOSED,
    GRACE,
    PAST_DUE,
    STATES,
    SUSPENDED,
    WRITTEN_OFF,
    sources_of,
)


class DunningCase(ConcurrentTransitionMixin, models.Model):
    """A customer in arrears: one is open for each organization (S91), and closed when all its invoices are settled.

    The transitions are made from the table of the rules, so there is one. `operations/dunning/guarding` passes every
    change of state through them before its event is written.
    """

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    state = FSMField(default=PAST_DUE, choices=[(state, state) for state in STATES])
    policy_id = models.UUIDField(null=True)
    policy_number = models.IntegerField()
    policy = models.JSONField()
    zone = models.TextField()
    anchor_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    invoices = models.JSONField()
    step = models.IntegerField()
    shift_days = models.IntegerField()
    pending = models.JSONField()
    waits_until = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    wants_retry = models.BooleanField()
    is_hard = models.BooleanField()
    failures = models.IntegerField()
    failure = models.JSONField(null=True)
    exempt_until = models.DateTimeField(null=True)
    extended_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closing = models.TextField(null=True)
    campaigns = models.JSONField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "dunning_cases"
        ordering: ClassVar = ["-opened_at", "id"]

    def __str__(self) -> str:
        return f"{self.organization}: {self.state}"

    @transition(field=state, source=sources_of(GRACE), target=GRACE)
    def throttle(self) -> None:
        """The customer works slower."""

    @transition(field=state, source=sources_of(SUSPENDED), target=SUSPENDED)
    def suspend(self) -> None:
        """The customer makes no new calls."""

    @transition(field=state, source=sources_of(CANCELED), target=CANCELED)
    def cancel(self) -> None:
        """The customer's subscriptions are canceled."""

    @transition(field=state, source=sources_of(WRITTEN_OFF), target=WRITTEN_OFF)
    def write_off(self) -> None:
        """What the customer owes is given up."""

    @transition(field=state, source=sources_of(CLOSED), target=CLOSED)
    def close(self) -> None:
        """It is over."""


class DunningPolicy(models.Model):
    """Dated steps, for customers of some plans or contracts, or for all others. A case keeps the one it began with."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    key = models.TextField()
    name = models.TextField()
    plans = models.JSONField()
    contracts = models.JSONField()
    is_default = models.BooleanField()
    number = models.IntegerField()
    document = models.JSONField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "dunning_policies"
        ordering: ClassVar = ["key"]
        verbose_name_plural = "dunning policies"

    def __str__(self) -> str:
        return f"{self.key} {self.number}"


class DunningNotice(Letter):
    """What a customer was told at a stage, once."""

    case_id = models.UUIDField()
    notice = models.TextField()
    state = models.TextField()

    class Meta:
        managed = False
        db_table = "dunning_notices"
        ordering: ClassVar = ["-made_at", "id"]

    def __str__(self) -> str:
        return f"{self.notice}: {self.status}"


class DunningRun(models.Model):
    """A customer whose dunning is in work, or meets trouble."""

    organization = models.UUIDField(primary_key=True)
    claimed_at = models.DateTimeField(null=True)
    failures = models.IntegerField()
    failed_at = models.DateTimeField(null=True)
    last_error = models.TextField(null=True)
    parked_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "dunning_claims"
        ordering: ClassVar = ["-failed_at"]

    def __str__(self) -> str:
        return str(self.organization)

"""Payouts as the staff reads them; a payout's state is guarded by the same table that its operations decide by."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django_fsm import ConcurrentTransitionMixin, FSMField, transition

from payouts.rules.paying import states
from payouts.rules.paying.states import STATES, sources_of


class Payout(ConcurrentTransitionMixin, models.Model):
    """Money on its way to a partner (S101). Its amount is in payout_in_transit until it is paid or comes back; one is
    open for each partner."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField(help_text="the partner")
    amount = models.BigIntegerField(help_text="10^-8 units")
    currency = models.TextField()
    state = FSMField(default=states.REQUESTED, choices=[(state, state) for state in STATES])
    cause = models.TextField()
    requested_at = models.DateTimeField()
    requested_by = models.TextField()
    account = models.TextField()
    destination = models.TextField(null=True)
    batch = models.UUIDField(null=True)
    hold = models.TextField(null=True)
    hold_note = models.TextField(null=True)
    reviewed_by = models.TextField(null=True)
    approved_at = models.DateTimeField(null=True)
    approved_by = models.TextField(null=True)
    first_approved_by = models.TextField(null=True)
    waits_for = models.TextField(null=True)
    next_at = models.DateTimeField(null=True)
    transfer = models.TextField(null=True)
    payout = models.TextField(null=True)
    sent_at = models.DateTimeField(
        null=True, help_text="when its transfer was made, by the processor's clock"
    )
    recall = models.TextField(null=True, help_text="the payout there that brings it back from the bank")
    taken_back = models.BigIntegerField(help_text="10^-8 units; of the transfer")
    arrival = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    failure = models.JSONField(null=True)
    reversals = models.JSONField(null=True, help_text="10^-8 units by id; of the transfer")
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "payouts"
        ordering: ClassVar = ["-requested_at", "id"]

    def __str__(self) -> str:
        return f"{self.organization}: {self.state}"

    @transition(field=state, source=sources_of(states.HELD), target=states.HELD)
    def hold_it(self) -> None:
        """It waits for a review, or for its account."""

    @transition(field=state, source=sources_of(states.PENDING_APPROVAL), target=states.PENDING_APPROVAL)
    def await_approval(self) -> None:
        """It waits for a second person."""

    @transition(field=state, source=sources_of(states.APPROVED), target=states.APPROVED)
    def approve(self) -> None:
        """It may be sent."""

    @transition(field=state, source=sources_of(states.PROCESSING), target=states.PROCESSING)
    def process(self) -> None:
        """It was sent."""

    @transition(field=state, source=sources_of(states.UNKNOWN), target=states.UNKNOWN)
    def doubt(self) -> None:
        """Nobody knows whether it was done."""

    @transition(field=state, source=sources_of(states.PAID), target=states.PAID)
    def pay(self) -> None:
        """The bank has it."""

    @transition(field=state, source=sources_of(states.FAILED), target=states.FAILED)
    def fail(self) -> None:
        """It did not reach the bank, or came back."""

    @transition(field=state, source=sources_of(states.REVERSED), target=states.REVERSED)
    def reverse(self) -> None:
        """It was taken back."""

    @transition(field=state, source=sources_of(states.CANCELED), target=states.CANCELED)
    def cancel(self) -> None:
        """It was never sent."""


class PayoutBatch(models.Model):
    """Payouts of all partners, asked for at once."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField(help_text="the platform")
    state = models.TextField()
    requested_at = models.DateTimeField()
    requested_by = models.TextField()
    made = models.IntegerField()
    refused = models.IntegerField()
    finished_at = models.DateTimeField(null=True)
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "payout_batches"
        ordering: ClassVar = ["-requested_at", "id"]
        verbose_name_plural = "payout batches"

    def __str__(self) -> str:
        return f"{self.requested_at:%Y-%m-%d}: {self.state}"


class PartnerStatement(models.Model):
    """What a partner was sent for a month. closing = opening + earned - clawed back - paid out = the next opening."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    month = models.DateField()
    number = models.TextField()
    counter = models.IntegerField()
    currency = models.TextField()
    opening = models.BigIntegerField(help_text="10^-8 units")
    earned = models.BigIntegerField(help_text="10^-8 units")
    clawed_back = models.BigIntegerField(help_text="10^-8 units")
    paid_out = models.BigIntegerField(help_text="10^-8 units")
    closing = models.BigIntegerField(help_text="10^-8 units")
    document = models.JSONField()
    made_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "partner_statements"
        ordering: ClassVar = ["-month", "id"]

    def __str__(self) -> str:
        return self.number

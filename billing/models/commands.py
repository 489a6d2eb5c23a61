"""Outbound commands and customers at the processor, as the staff reads them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class OutboundCommand(models.Model):
    """What the processor is to do, frozen, and how far that came. What is operational tells how hard it was tried."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    purpose = models.TextField()
    business_key = models.TextField()
    generation = models.IntegerField()
    key = models.TextField()
    resource = models.TextField()
    verb = models.TextField()
    target = models.TextField(null=True)
    params = models.JSONField(help_text="The processor's own: minor units")
    api_version = models.TextField()
    account = models.TextField(null=True)
    order_key = models.TextField(null=True)
    state = models.TextField()
    requested_at = models.DateTimeField()
    first_sent_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    object_id = models.TextField(null=True)
    request_id = models.TextField(null=True)
    error_code = models.TextField(null=True)
    decline_code = models.TextField(null=True)
    error = models.TextField(null=True)
    version = models.IntegerField()
    attempts = models.IntegerField()
    next_try_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    looks = models.IntegerField()
    looked_at = models.DateTimeField(null=True)
    note = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "outbound_commands"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.purpose} {self.state}"


class PaymentCustomer(models.Model):
    """Who an organization is at the processor. What its methods look like stands apart and is not shown."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    customer = models.TextField(null=True)
    status = models.TextField()
    default_method = models.TextField(null=True)
    methods = models.JSONField()
    livemode = models.BooleanField()
    created_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "payment_customers"
        ordering: ClassVar = ["organization"]

    def __str__(self) -> str:
        return str(self.customer)

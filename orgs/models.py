"""The rows of this app as Django reads them (lists, admin). Projections: only `orgs.projections` writes them.

The tables are made by migrations/sql; `managed = False` keeps Django from touching them. Objects name
their organization by id, not by a foreign key: every query names the organization (S109).
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Organization(models.Model):
    """A tenant: the customer that pays. Its row is the lock that orders all writers of the organization."""

    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    currency = models.TextField()
    time_zone = models.TextField()
    funding = models.TextField()
    credit_limit = models.BigIntegerField(null=True, help_text="10^-8 units; empty: postpaid without a limit")
    status = models.TextField()
    is_platform = models.BooleanField()
    sandbox = models.BooleanField()
    clock_offset = models.DurationField()
    config_epoch = models.BigIntegerField()
    version = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "organizations"
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.name


class Subject(models.Model):
    """What a call may be attributed to: it has a key, unique in its organization for ever."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    key = models.TextField()
    name = models.TextField()
    key_folded = models.TextField()
    name_folded = models.TextField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.key


class Team(Subject):
    """A group of agents with an owner of its own budgets."""

    class Meta:
        managed = False
        db_table = "teams"


class Agent(Subject):
    """Whoever spends: every reservation names one."""

    team_id = models.UUIDField(null=True)
    listing = models.UUIDField(null=True)

    class Meta:
        managed = False
        db_table = "agents"


class Workflow(Subject):
    """What calls are made for."""

    class Meta:
        managed = False
        db_table = "workflows"


class Connection(Subject):
    """The way to a provider: `resold` (we pay the provider) or `own_key` (the customer does)."""

    billing = models.TextField()

    class Meta:
        managed = False
        db_table = "connections"


class Member(models.Model):
    """A person's place in an organization. Who it is stands in MemberProfile, which can be erased."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    role = models.TextField()
    team_id = models.UUIDField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "members"

    def __str__(self) -> str:
        return f"{self.role} {self.id}"


class MemberProfile(models.Model):
    """The personal data of a member: operational, outside of facts and projections."""

    member_id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    name = models.TextField()
    email = models.TextField()
    user_id = models.IntegerField(null=True)

    class Meta:
        managed = False
        db_table = "member_profiles"


class ApiKey(models.Model):
    """A key of an organization. The secret is not stored: `secret_hash` is the SHA-256 of its text."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    name = models.TextField()
    prefix = models.TextField()
    secret_hash = models.BinaryField()
    scopes = ArrayField(models.TextField())
    member_id = models.UUIDField(null=True)
    agent_ids = ArrayField(models.UUIDField(), null=True)
    connection_ids = ArrayField(models.UUIDField(), null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    rotated_from = models.UUIDField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "api_keys"
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

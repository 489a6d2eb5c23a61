"""What is sold and who sells, as the staff reads it; the tables are projections of events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Plan(models.Model):
    """A plan: a key. What it sells stands in its versions."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    key = models.TextField()
    name = models.TextField()
    status = models.TextField()
    latest = models.IntegerField()
    draft_id = models.UUIDField(null=True)
    published_id = models.UUIDField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "plans"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.key


class PlanVersion(models.Model):
    """What a plan sells: a document that never changes once it is published (S71)."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    plan_id = models.UUIDField()
    plan_key = models.TextField()
    number = models.IntegerField()
    definition = models.JSONField()
    status = models.TextField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "plan_versions"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.plan_key} version {self.number}"


class Coupon(models.Model):
    """A discount that can be redeemed; what it takes off never changes."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    code = models.TextField()
    code_folded = models.TextField()
    name = models.TextField()
    terms = models.JSONField()
    redeem_by = models.DateTimeField(null=True)
    max_redemptions = models.IntegerField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "coupons"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.code


class CouponRedemption(models.Model):
    """Who has which coupon, for everything or for one subscription: as its terms were then."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    coupon_id = models.UUIDField()
    code = models.TextField()
    subscription_id = models.UUIDField(null=True)
    terms = models.JSONField()
    status = models.TextField()
    redeemed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "coupon_redemptions"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.code} of {self.organization}"


class LegalEntity(models.Model):
    """A seller: whose name, address and VAT ids stand on invoices, and in whose series they are numbered."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    key = models.TextField()
    name = models.TextField()
    country = models.TextField()
    address = models.JSONField()
    vat_ids = models.JSONField()
    tax_area = models.TextField()
    number_pattern = models.TextField()
    invoice_series = models.TextField()
    credit_note_series = models.TextField()
    currency = models.TextField()
    is_default = models.BooleanField()
    version = models.IntegerField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "legal_entities"
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "legal entities"

    def __str__(self) -> str:
        return self.key


class BillingProfile(models.Model):
    """How an organization is billed, without its personal data. There is a row from the first change on."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    legal_entity_id = models.UUIDField(null=True)
    net_days = models.IntegerField(null=True)
    grace_hours = models.IntegerField(null=True)
    purchase_order = models.TextField(null=True)
    cycle_anchor = models.TextField(null=True)
    consolidation = models.TextField()
    language = models.TextField()
    country = models.TextField(null=True)
    vat_id = models.TextField(null=True)
    vat_answer = models.TextField()
    vat_checked_at = models.DateTimeField(null=True)
    exemption_code = models.TextField(null=True)
    contact_version = models.IntegerField()
    version = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "billing_profiles"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"billing profile of {self.organization}"


class TaxRate(models.Model):
    """What a tax code is taxed with in a country from a day on, `valid_to` not included; never edited, only ended."""

    id = models.UUIDField(primary_key=True)
    organization = models.UUIDField()
    country = models.TextField()
    tax_code = models.TextField()
    ppm = models.IntegerField(null=True)
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)
    source = models.TextField()
    created_at = models.DateTimeField()
    version = models.IntegerField()

    class Meta:
        managed = False
        db_table = "tax_rates"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.country} {self.tax_code} from {self.valid_from}"

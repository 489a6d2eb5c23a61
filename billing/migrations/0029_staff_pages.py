"""Models for the staff of what had no page: redemptions of coupons, items, and where a customer's billing stands."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0028_campaigns")]

    operations = [
        migrations.CreateModel(
            name="CouponRedemption",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("coupon_id", models.UUIDField()),
                ("code", models.TextField()),
                ("subscription_id", models.UUIDField(null=True)),
                ("terms", models.JSONField()),
                ("status", models.TextField()),
                ("redeemed_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "coupon_redemptions", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="InvoiceItem",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("kind", models.TextField()),
                ("description", models.TextField()),
                ("currency", models.TextField()),
                ("amount", models.BigIntegerField(help_text="10^-8 units; below zero it is owed back")),
                ("subscription", models.UUIDField(null=True)),
                ("contract", models.UUIDField(null=True)),
                ("charge_key", models.TextField(null=True)),
                ("service_start", models.DateTimeField(null=True)),
                ("service_end", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField()),
                ("discountable", models.BooleanField()),
                ("tax_code", models.TextField()),
                ("source", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("invoice_id", models.UUIDField(null=True)),
                ("line", models.IntegerField(null=True)),
            ],
            options={"db_table": "invoice_items", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="BillingCycle",
            fields=[
                ("organization", models.UUIDField(primary_key=True, serialize=False)),
                ("cycle_start", models.DateTimeField()),
                ("next_at", models.DateTimeField()),
                ("threshold", models.BigIntegerField(help_text="10^-8 units", null=True)),
                ("progressive", models.JSONField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "billing_customers", "ordering": ["organization"], "managed": False},
        ),
    ]

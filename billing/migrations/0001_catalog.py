"""Plans, coupons, legal entities, billing profiles; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0009_pace")]

    operations = [
        sql_operation(__file__, "0001_catalog.sql"),
        migrations.CreateModel(
            name="BillingProfile",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("legal_entity_id", models.UUIDField(null=True)),
                ("net_days", models.IntegerField(null=True)),
                ("grace_hours", models.IntegerField(null=True)),
                ("purchase_order", models.TextField(null=True)),
                ("cycle_anchor", models.TextField(null=True)),
                ("consolidation", models.TextField()),
                ("language", models.TextField()),
                ("country", models.TextField(null=True)),
                ("vat_id", models.TextField(null=True)),
                ("vat_answer", models.TextField()),
                ("vat_checked_at", models.DateTimeField(null=True)),
                ("exemption_code", models.TextField(null=True)),
                ("contact_version", models.IntegerField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "billing_profiles",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Coupon",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("code", models.TextField()),
                ("code_folded", models.TextField()),
                ("name", models.TextField()),
                ("terms", models.JSONField()),
                ("redeem_by", models.DateTimeField(null=True)),
                ("max_redemptions", models.IntegerField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "coupons",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="LegalEntity",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("country", models.TextField()),
                ("address", models.JSONField()),
                ("vat_ids", models.JSONField()),
                ("tax_area", models.TextField()),
                ("number_pattern", models.TextField()),
                ("invoice_series", models.TextField()),
                ("credit_note_series", models.TextField()),
                ("currency", models.TextField()),
                ("is_default", models.BooleanField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "legal entities",
                "db_table": "legal_entities",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("status", models.TextField()),
                ("latest", models.IntegerField()),
                ("draft_id", models.UUIDField(null=True)),
                ("published_id", models.UUIDField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "plans",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="PlanVersion",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("plan_id", models.UUIDField()),
                ("plan_key", models.TextField()),
                ("number", models.IntegerField()),
                ("definition", models.JSONField()),
                ("status", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(null=True)),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "plan_versions",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
    ]

"""The marketplace: partners, listings, revenue shares and earnings; the models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True

    dependencies = [("billing", "0013_mirroring")]

    operations = [
        sql_operation(__file__, "0001_marketplace.sql"),
        migrations.CreateModel(
            name="Listing",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField(help_text="the partner")),
                ("key", models.TextField()),
                ("key_folded", models.TextField()),
                ("name", models.TextField()),
                ("description", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "listings",
                "ordering": ["key"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Partner",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("currency", models.TextField()),
                ("status", models.TextField()),
                (
                    "minimum",
                    models.BigIntegerField(help_text="10^-8 units; empty: the currency's default", null=True),
                ),
                ("schedule", models.TextField()),
                ("holdback_days", models.IntegerField()),
                ("reserve_rate", models.IntegerField(help_text="millionths")),
                (
                    "hold_reason",
                    models.TextField(help_text="why its payouts are held; empty: they are not", null=True),
                ),
                ("stripe_account", models.TextField(null=True)),
                ("country", models.TextField(null=True)),
                ("destination", models.TextField(null=True)),
                ("destination_changed_at", models.DateTimeField(null=True)),
                ("payouts_enabled", models.BooleanField()),
                ("disabled_reason", models.TextField(null=True)),
                ("requirements", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "partners",
                "ordering": ["-created_at", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="RevenueShare",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField(help_text="the partner")),
                ("listing_id", models.UUIDField(help_text="empty: all of its listings", null=True)),
                ("plan", models.TextField(help_text="empty: all callers", null=True)),
                ("valid_from", models.DateTimeField()),
                ("terms", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "revenue_shares",
                "ordering": ["-valid_from", "id"],
                "managed": False,
            },
        ),
    ]

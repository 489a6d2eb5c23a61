"""Subscriptions and metered periods; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_metering")]

    operations = [
        sql_operation(__file__, "0003_subscriptions.sql"),
        migrations.CreateModel(
            name="MeteredPeriod",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("subscription", models.UUIDField()),
                ("charge_key", models.TextField()),
                ("meter", models.TextField()),
                ("plan_version", models.UUIDField()),
                ("start_at", models.DateTimeField()),
                ("end_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("invoice_id", models.UUIDField(null=True)),
                ("line", models.IntegerField(null=True)),
            ],
            options={
                "db_table": "metered_periods",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("status", models.TextField()),
                ("currency", models.TextField()),
                ("funding", models.TextField()),
                ("plan", models.UUIDField()),
                ("plan_version", models.UUIDField()),
                ("quantities", models.JSONField()),
                ("add_ons", models.JSONField()),
                ("starts_at", models.DateTimeField()),
                ("trial_end", models.DateTimeField(null=True)),
                ("period_start", models.DateTimeField(null=True)),
                ("period_end", models.DateTimeField(null=True)),
                ("coupons", models.JSONField()),
                ("pending", models.JSONField(null=True)),
                ("change_at", models.DateTimeField(null=True)),
                ("cancel_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("resumes_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "subscriptions",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
    ]

"""Reconciliation, what it booked of the processor's balance, and providers' bills."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0002_outbound"),
    ]

    operations = [
        sql_operation(__file__, "0003_reconciliation.sql"),
        migrations.CreateModel(
            name="ProcessorItem",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("balance_transaction", models.TextField()),
                ("subject", models.TextField()),
                ("category", models.TextField()),
                ("amount", models.BigIntegerField()),
                ("fee", models.BigIntegerField()),
                ("currency", models.TextField()),
                ("booked_to", models.TextField()),
                ("status", models.TextField()),
                ("assigned_to", models.UUIDField(null=True)),
                ("assigned_invoice", models.UUIDField(null=True)),
                ("reason", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
                ("booked_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "processor_items",
                "ordering": ["-booked_at", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ProviderBill",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("provider", models.TextField()),
                ("digest", models.TextField()),
                ("currency", models.TextField()),
                ("total", models.BigIntegerField()),
                ("first_day", models.DateField()),
                ("last_day", models.DateField()),
                ("tolerance_ppm", models.IntegerField()),
                ("lines", models.JSONField()),
                ("status", models.TextField()),
                ("booked_against", models.TextField(null=True)),
                ("imported_by", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("booked_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "provider_bills",
                "ordering": ["-created_at", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("period", models.DateField()),
                ("cause", models.TextField()),
                ("status", models.TextField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("steps", models.JSONField()),
                ("done", models.JSONField()),
                ("differences", models.JSONField()),
                ("balances", models.JSONField(help_text="10^-8 units")),
                ("is_clean", models.BooleanField(null=True)),
                ("error", models.TextField(null=True)),
                ("attempts", models.IntegerField()),
                ("author", models.TextField()),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "reconciliations",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ReconciliationDifference",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("run", models.UUIDField()),
                ("last_run", models.UUIDField()),
                ("kind", models.TextField()),
                ("class_name", models.TextField(db_column="class")),
                ("subject", models.TextField()),
                ("organization", models.UUIDField(null=True)),
                ("amount", models.BigIntegerField(null=True)),
                ("currency", models.TextField(null=True)),
                ("detail", models.JSONField()),
                ("outcome", models.TextField()),
                ("finding", models.UUIDField(null=True)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "reconciliation_differences",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
    ]

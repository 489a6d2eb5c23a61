"""Contracts, their versions and windows; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_invoices")]

    operations = [
        sql_operation(__file__, "0005_contracts.sql"),
        migrations.CreateModel(
            name="Contract",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("status", models.TextField()),
                ("name", models.TextField()),
                ("currency", models.TextField()),
                ("purchase_order", models.TextField(null=True)),
                ("net_days", models.IntegerField()),
                ("zone", models.TextField()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("kind", models.TextField(null=True)),
                ("number", models.IntegerField()),
                ("versions", models.JSONField()),
                ("features", models.JSONField()),
                ("activated_at", models.DateTimeField(null=True)),
                ("terminates_at", models.DateTimeField(null=True)),
                ("termination", models.TextField(null=True)),
                ("reason", models.TextField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={"db_table": "contracts", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="ContractWindow",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("contract", models.UUIDField()),
                ("number", models.IntegerField()),
                ("start_at", models.DateTimeField()),
                ("end_at", models.DateTimeField()),
                ("settle_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
                ("status", models.TextField()),
                ("amount", models.BigIntegerField()),
                ("used", models.BigIntegerField()),
                ("line", models.BigIntegerField()),
                ("overage", models.BigIntegerField()),
                ("true_up", models.BigIntegerField()),
                ("lapsed", models.BigIntegerField()),
                ("rolled", models.BigIntegerField()),
                ("credited", models.BigIntegerField()),
            ],
            options={"db_table": "contract_windows", "ordering": ["-id"], "managed": False},
        ),
    ]

"""The tables are made by SQL; the state below is what Django reads them as (managed = False)."""

import django.contrib.postgres.fields
from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("orgs", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("kind", models.TextField()),
                ("currency", models.TextField()),
                ("counterparty", models.UUIDField(null=True)),
                ("live", models.BooleanField(help_text="Has a limit: posted and held stand in this row.")),
                ("posted", models.BigIntegerField(help_text="10^-8 units; of a live account")),
                ("held", models.BigIntegerField(help_text="10^-8 units")),
                ("debt", models.BigIntegerField(help_text="10^-8 units")),
                ("credit_limit", models.BigIntegerField(help_text="10^-8 units; empty: no floor", null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "accounts",
                "ordering": ["organization", "kind"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Adjustment",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                (
                    "amount",
                    models.BigIntegerField(help_text="10^-8 units; above zero gives credit, below takes it"),
                ),
                ("currency", models.TextField()),
                ("contra_kind", models.TextField()),
                ("reason", models.TextField()),
                ("status", models.TextField()),
                ("proposed_by", models.TextField()),
                ("decided_by", models.TextField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision_reason", models.TextField()),
                ("entry_id", models.UUIDField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "adjustments",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="CreditGrant",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("account_id", models.UUIDField()),
                ("kind", models.TextField()),
                ("currency", models.TextField()),
                ("priority", models.IntegerField()),
                ("scope", models.TextField()),
                ("scope_target", models.UUIDField(null=True)),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("remaining", models.BigIntegerField(help_text="10^-8 units")),
                ("held", models.BigIntegerField(help_text="10^-8 units")),
                ("cost_basis", models.BigIntegerField(help_text="10^-8 units")),
                ("effective_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("expired_at", models.DateTimeField(null=True)),
                ("reason", models.TextField()),
                ("source", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "credit_grants",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("account_id", models.UUIDField()),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("placed_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("status", models.TextField()),
                (
                    "grants",
                    django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None),
                ),
                (
                    "grant_amounts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("source", models.TextField(null=True)),
            ],
            options={
                "db_table": "holds",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("effective_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("epoch", models.IntegerField()),
                ("reverses", models.UUIDField(null=True)),
                ("kind", models.TextField()),
                ("source", models.TextField()),
                ("idempotency_key", models.TextField()),
                ("actor", models.TextField()),
                ("reason", models.TextField()),
            ],
            options={
                "verbose_name_plural": "journal entries",
                "db_table": "journal_entries",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        sql_operation(__file__, "0001_ledger.sql"),
    ]

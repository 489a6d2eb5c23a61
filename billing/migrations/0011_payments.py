"""Payments, refunds, disputes, effects, findings and automatic top-ups; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0009_recognition_methods"),
        ("billing", "0010_commands"),
        ("spend", "0009_pace"),
    ]

    operations = [
        sql_operation(__file__, "0011_payments.sql"),
        migrations.CreateModel(
            name="AutoTopUp",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("enabled", models.BooleanField()),
                ("threshold", models.BigIntegerField(help_text="10^-8 units")),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("currency", models.TextField()),
                ("cool_off_seconds", models.IntegerField()),
                ("monthly_cap", models.BigIntegerField(help_text="10^-8 units", null=True)),
                ("status", models.TextField()),
                ("failures", models.IntegerField()),
                ("stopped_reason", models.TextField(null=True)),
                ("last_payment", models.UUIDField(null=True)),
                ("last_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "auto_top_ups",
                "ordering": ["organization"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("payment_id", models.UUIDField()),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("currency", models.TextField()),
                ("status", models.TextField()),
                ("reason", models.TextField()),
                ("withdrawn", models.BigIntegerField(help_text="10^-8 units")),
                ("fee", models.BigIntegerField(help_text="10^-8 units")),
                ("evidence_due_by", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "disputes",
                "ordering": ["-created_at", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("kind", models.TextField()),
                ("subject", models.TextField()),
                ("status", models.TextField()),
                ("detail", models.JSONField()),
                ("proposed", models.JSONField(null=True)),
                ("assigned_to", models.TextField(null=True)),
                ("notes", models.JSONField()),
                ("opened_at", models.DateTimeField()),
                ("opened_by", models.TextField()),
                ("resolved_at", models.DateTimeField(null=True)),
                ("resolved_by", models.TextField(null=True)),
                ("resolution", models.TextField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "findings",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("purpose", models.TextField()),
                ("invoice_id", models.UUIDField(null=True)),
                ("cause", models.TextField()),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("currency", models.TextField()),
                ("command", models.UUIDField(null=True)),
                ("status", models.TextField()),
                ("intent", models.TextField(null=True)),
                ("charge", models.TextField(null=True)),
                ("customer", models.TextField(null=True)),
                ("method", models.TextField(null=True)),
                ("failure", models.JSONField(null=True)),
                ("received", models.BigIntegerField(help_text="10^-8 units")),
                ("settled", models.BigIntegerField(help_text="10^-8 units; of what came: paid its invoice")),
                ("excess", models.BigIntegerField(help_text="10^-8 units; of what came: became credit")),
                ("refunded", models.BigIntegerField(help_text="10^-8 units")),
                ("disputed", models.BigIntegerField(help_text="10^-8 units")),
                (
                    "credit_back",
                    models.BigIntegerField(help_text="10^-8 units; of what went back: taken of the credit"),
                ),
                (
                    "invoice_back",
                    models.BigIntegerField(help_text="10^-8 units; of what went back: the invoice's"),
                ),
                (
                    "reopened",
                    models.BigIntegerField(help_text="10^-8 units; of that: owed on the invoice now"),
                ),
                ("beyond", models.BigIntegerField(help_text="10^-8 units; of what went back: in suspense")),
                ("fee", models.BigIntegerField(help_text="10^-8 units")),
                ("applied", models.JSONField(help_text="keys of the effects that are booked")),
                ("created_at", models.DateTimeField()),
                ("paid_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "payments",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ProcessorPayout",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("payout", models.TextField()),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("currency", models.TextField()),
                ("status", models.TextField()),
                ("in_transit", models.BigIntegerField(help_text="10^-8 units")),
                ("arrived", models.BigIntegerField(help_text="10^-8 units")),
                ("fee", models.BigIntegerField(help_text="10^-8 units")),
                ("arrival", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("failure", models.JSONField(null=True)),
            ],
            options={
                "db_table": "processor_payouts",
                "ordering": ["-created_at", "id"],
                "managed": False,
            },
        ),
    ]

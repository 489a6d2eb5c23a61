"""What is mirrored from the processor; models of what the staff sees of it."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_dunning")]

    operations = [
        sql_operation(__file__, "0013_mirroring.sql"),
        migrations.CreateModel(
            name="CreditPrice",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("price", models.TextField()),
                ("name", models.TextField()),
                ("credit", models.BigIntegerField(help_text="10^-8 units")),
                ("currency", models.TextField()),
                ("lifetime_days", models.IntegerField(null=True)),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "credit_prices",
                "ordering": ["price"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="MirroredCustomer",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("customer", models.TextField()),
                ("linked_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "mirrored_customers",
                "ordering": ["customer"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="MirroredInvoice",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("invoice", models.TextField()),
                ("subscription", models.TextField(null=True)),
                ("customer", models.TextField()),
                ("number", models.TextField(null=True)),
                ("status", models.TextField()),
                ("currency", models.TextField()),
                ("total", models.BigIntegerField(help_text="10^-8 units")),
                ("paid", models.BigIntegerField(help_text="10^-8 units")),
                ("remaining", models.BigIntegerField(help_text="10^-8 units")),
                ("failed", models.BooleanField()),
                ("due_at", models.DateTimeField(null=True)),
                ("paid_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("grant_id", models.UUIDField(null=True)),
                ("credit", models.BigIntegerField(help_text="10^-8 units")),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "mirrored_invoices",
                "ordering": ["-created_at", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="MirroredSubscription",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("subscription", models.TextField()),
                ("customer", models.TextField()),
                ("status", models.TextField()),
                ("items", models.JSONField()),
                ("period_start", models.DateTimeField(null=True)),
                ("period_end", models.DateTimeField(null=True)),
                ("cancel_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "mirrored_subscriptions",
                "ordering": ["-created_at", "id"],
                "managed": False,
            },
        ),
    ]

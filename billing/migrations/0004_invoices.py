"""Invoice items, and the invoices that take them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_subscriptions")]

    operations = [
        sql_operation(__file__, "0004_invoice_items.sql"),
        sql_operation(__file__, "0004_invoices.sql"),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("status", models.TextField()),
                ("cause", models.TextField()),
                ("number", models.TextField(null=True)),
                ("currency", models.TextField()),
                ("dated_at", models.DateTimeField()),
                ("period_start", models.DateTimeField()),
                ("period_end", models.DateTimeField()),
                ("finalize_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                ("subtotal", models.BigIntegerField()),
                ("discount", models.BigIntegerField()),
                ("net", models.BigIntegerField()),
                ("tax", models.BigIntegerField()),
                ("total", models.BigIntegerField()),
                ("paid", models.BigIntegerField()),
                ("credited", models.BigIntegerField()),
                ("written_off", models.BigIntegerField()),
                ("error", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
                ("finalized_at", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "invoices", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="CreditNote",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("invoice_id", models.UUIDField()),
                ("number", models.TextField()),
                ("reason", models.TextField()),
                ("currency", models.TextField()),
                ("dated_at", models.DateTimeField()),
                ("net", models.BigIntegerField()),
                ("tax", models.BigIntegerField()),
                ("total", models.BigIntegerField()),
                ("receivable", models.BigIntegerField()),
                ("credit", models.BigIntegerField()),
            ],
            options={"db_table": "credit_notes", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="BillingRun",
            fields=[
                ("organization", models.UUIDField(primary_key=True, serialize=False)),
                ("claimed_at", models.DateTimeField(null=True)),
                ("failures", models.IntegerField()),
                ("failed_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(null=True)),
                ("parked_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "billing_runs", "ordering": ["-failed_at"], "managed": False},
        ),
    ]

"""Outbound webhooks; models of what the staff sees of them."""

import django.db.models.deletion
from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_inbound"), ("events", "0004_meter_events")]

    operations = [
        sql_operation(__file__, "0002_outbound.sql"),
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("url", models.TextField()),
                ("description", models.TextField()),
                ("event_types", models.JSONField()),
                ("low_credit", models.JSONField(help_text="10^-8 units")),
                ("status", models.TextField()),
                ("disabled_reason", models.TextField(null=True)),
                ("disabled_at", models.DateTimeField(null=True)),
                ("secret_ids", models.JSONField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "webhook_endpoints", "ordering": ["-created_at", "id"], "managed": False},
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_column="endpoint",
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="webhooks.webhookendpoint",
                    ),
                ),
                ("message_id", models.UUIDField(db_column="message")),
                ("event_type", models.TextField()),
                ("number", models.BigIntegerField()),
                ("status", models.TextField()),
                ("attempts", models.IntegerField()),
                ("next_at", models.DateTimeField()),
                ("tries", models.JSONField()),
                ("response_status", models.IntegerField(null=True)),
                ("error", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
                ("delivered_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "webhook_deliveries",
                "ordering": ["-number"],
                "verbose_name_plural": "webhook deliveries",
                "managed": False,
            },
        ),
    ]

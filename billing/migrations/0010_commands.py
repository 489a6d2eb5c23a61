"""Outbound commands and customers at the processor; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0009_recognition_methods"),
    ]

    operations = [
        sql_operation(__file__, "0010_commands.sql"),
        migrations.CreateModel(
            name="OutboundCommand",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("purpose", models.TextField()),
                ("business_key", models.TextField()),
                ("generation", models.IntegerField()),
                ("key", models.TextField()),
                ("resource", models.TextField()),
                ("verb", models.TextField()),
                ("target", models.TextField(null=True)),
                ("params", models.JSONField(help_text="The processor's own: minor units")),
                ("api_version", models.TextField()),
                ("account", models.TextField(null=True)),
                ("order_key", models.TextField(null=True)),
                ("state", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("first_sent_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("object_id", models.TextField(null=True)),
                ("request_id", models.TextField(null=True)),
                ("error_code", models.TextField(null=True)),
                ("decline_code", models.TextField(null=True)),
                ("error", models.TextField(null=True)),
                ("version", models.IntegerField()),
                ("attempts", models.IntegerField()),
                ("next_try_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(null=True)),
                ("looks", models.IntegerField()),
                ("looked_at", models.DateTimeField(null=True)),
                ("note", models.TextField(null=True)),
            ],
            options={
                "db_table": "outbound_commands",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="PaymentCustomer",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("customer", models.TextField(null=True)),
                ("status", models.TextField()),
                ("default_method", models.TextField(null=True)),
                ("methods", models.JSONField()),
                ("livemode", models.BooleanField()),
                ("created_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "payment_customers",
                "ordering": ["organization"],
                "managed": False,
            },
        ),
    ]

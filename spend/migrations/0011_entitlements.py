"""What the gate obeys of customers' entitlements; the model of what the staff sees of it."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0010_standings"), ("ledger", "0004_lines")]

    operations = [
        sql_operation(__file__, "0011_entitlements.sql"),
        migrations.CreateModel(
            name="GateEntitlement",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("features", models.JSONField()),
                ("line", models.TextField(null=True)),
                ("credit_limit", models.BigIntegerField(help_text="10^-8 units", null=True)),
                ("line_source", models.TextField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("published_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "gate_entitlements", "ordering": ["organization"], "managed": False},
        ),
    ]

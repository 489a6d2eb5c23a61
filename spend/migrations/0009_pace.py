"""Spend by minute, velocity rules, and bursts; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0008_approvals")]

    operations = [
        sql_operation(__file__, "0009_pace.sql"),
        migrations.CreateModel(
            name="VelocityRule",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("scope", models.TextField()),
                ("target_id", models.UUIDField(null=True)),
                ("factor", models.IntegerField()),
                ("minimum", models.BigIntegerField()),
                ("history_hours", models.IntegerField()),
                ("action", models.TextField()),
                ("mode", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "velocity_rules", "ordering": ["-id"], "managed": False},
        ),
    ]

"""Meters, meter events and backfills of them; models of what the staff sees."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_catalog"), ("events", "0004_meter_events")]

    operations = [
        sql_operation(__file__, "0002_metering.sql"),
        migrations.CreateModel(
            name="Meter",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("description", models.TextField(null=True)),
                ("source", models.TextField()),
                ("event_type", models.TextField(null=True)),
                ("aggregation", models.TextField()),
                ("value_property", models.TextField(null=True)),
                ("unique_property", models.TextField(null=True)),
                ("filters", models.JSONField()),
                ("group_by", models.JSONField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "meters", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="MeterEvent",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("recorded_at", models.DateTimeField()),
                ("occurred_at", models.DateTimeField()),
                ("event_id", models.UUIDField()),
                ("cancels", models.UUIDField(null=True)),
                ("backfill_id", models.UUIDField(null=True)),
                ("sign", models.SmallIntegerField()),
                ("adjustment", models.BooleanField()),
                ("source", models.TextField()),
                ("external_id", models.TextField()),
                ("type", models.TextField()),
                ("subject", models.TextField(null=True)),
                ("data", models.JSONField()),
                ("actor", models.TextField()),
                ("reason", models.TextField(null=True)),
            ],
            options={"db_table": "meter_events", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="EventBackfill",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("name", models.TextField()),
                ("reason", models.TextField()),
                ("status", models.TextField()),
                ("created_by", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("reverted_by", models.TextField(null=True)),
                ("reverted_at", models.DateTimeField(null=True)),
                ("revert_reason", models.TextField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "event_backfills", "ordering": ["-id"], "managed": False},
        ),
    ]

"""The tables are made by SQL; the state below is what Django reads them as (managed = False)."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("epoch", models.IntegerField()),
                ("seq", models.BigIntegerField()),
                ("location", models.TextField()),
                ("manifest", models.JSONField()),
                ("taken_at", models.DateTimeField()),
            ],
            options={
                "db_table": "checkpoints",
                "ordering": ["-taken_at"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("stream_type", models.TextField()),
                ("stream_id", models.UUIDField()),
                ("version", models.IntegerField()),
                ("type", models.TextField()),
                ("schema", models.SmallIntegerField()),
                ("data", models.JSONField()),
                ("actor", models.TextField()),
                ("cause", models.TextField(null=True)),
                ("idempotency_key", models.TextField(null=True)),
                ("epoch", models.IntegerField()),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
            ],
            options={
                "db_table": "events",
                "ordering": ["-seq"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Seal",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("epoch", models.IntegerField()),
                ("seq_after", models.BigIntegerField()),
                ("seq_to", models.BigIntegerField()),
                ("event_count", models.IntegerField()),
                ("root", models.BinaryField()),
                ("previous", models.BinaryField()),
                ("hash", models.BinaryField()),
                ("sealed_at", models.DateTimeField()),
            ],
            options={
                "db_table": "seals",
                "ordering": ["-number"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Subscriber",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("state", models.TextField()),
                ("failures", models.IntegerField()),
                ("last_error", models.TextField()),
                ("failed_at", models.DateTimeField(null=True)),
                ("parked_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "event_subscribers",
                "ordering": ["name"],
                "managed": False,
            },
        ),
        sql_operation(__file__, "0001_events.sql"),
    ]

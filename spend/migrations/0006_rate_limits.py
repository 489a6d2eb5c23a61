"""What Django reads rate limits as; the table is made by 0004 (managed = False)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spend", "0005_switches")]

    operations = [
        migrations.CreateModel(
            name="RateLimit",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("scope", models.TextField()),
                ("target_id", models.UUIDField(null=True)),
                ("target_label", models.TextField(null=True)),
                ("per", models.TextField(null=True)),
                ("unit", models.TextField()),
                ("direction", models.TextField(null=True)),
                ("amount_limit", models.BigIntegerField()),
                ("window_kind", models.TextField(null=True)),
                ("burst", models.BigIntegerField(null=True)),
                ("behaviour", models.TextField()),
                ("escalate_denials", models.IntegerField(null=True)),
                ("escalate_seconds", models.IntegerField(null=True)),
                ("active_from", models.TextField(null=True)),
                ("active_until", models.TextField(null=True)),
                ("time_zone", models.TextField()),
                ("mode", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "rate_limits", "ordering": ["-id"], "managed": False},
        ),
    ]

"""Models of run_policies, and of the report of uncapped targets, which has a page in the admin and no table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spend", "0006_rate_limits")]

    operations = [
        migrations.CreateModel(
            name="RunPolicy",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("scope", models.TextField()),
                ("target_id", models.UUIDField(null=True)),
                ("target_label", models.TextField(null=True)),
                ("rules", models.JSONField()),
                ("mode", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "run_policies",
                "ordering": ["-id"],
                "verbose_name_plural": "run policies",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="UncappedTarget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={"managed": False},
        ),
    ]

"""What Django reads switches and incidents as; their tables are made by 0004 (managed = False)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spend", "0004_controls")]

    operations = [
        migrations.CreateModel(
            name="Switch",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("scope", models.TextField()),
                ("target_id", models.UUIDField(null=True)),
                ("target_label", models.TextField(null=True)),
                ("kind", models.TextField()),
                ("mode", models.TextField()),
                ("cause", models.TextField()),
                ("incident_id", models.UUIDField(null=True)),
                ("reason", models.TextField()),
                ("set_by", models.TextField()),
                ("set_at", models.DateTimeField()),
                ("lifted_by", models.TextField(null=True)),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lift_reason", models.TextField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "switches",
                "ordering": ["-id"],
                "managed": False,
                "verbose_name_plural": "switches",
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("trigger", models.TextField()),
                ("mode", models.TextField()),
                ("action", models.TextField()),
                ("scope", models.TextField()),
                ("target_id", models.UUIDField(null=True)),
                ("target_label", models.TextField(null=True)),
                ("agent_id", models.UUIDField(null=True)),
                ("run_id", models.UUIDField(null=True)),
                ("run_key", models.TextField(null=True)),
                ("rule_id", models.UUIDField(null=True)),
                ("switch_id", models.UUIDField(null=True)),
                ("spent", models.BigIntegerField()),
                ("evidence", models.JSONField()),
                ("began_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(null=True)),
                ("released_by", models.TextField(null=True)),
                ("release_reason", models.TextField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "incidents", "ordering": ["-id"], "managed": False},
        ),
    ]

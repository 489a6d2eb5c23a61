"""Dunning's claims know of trouble; the model by which the staff sees it."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0015_mirrored_payments")]

    operations = [
        sql_operation(__file__, "0016_dunning_trouble.sql"),
        migrations.CreateModel(
            name="DunningRun",
            fields=[
                ("organization", models.UUIDField(primary_key=True, serialize=False)),
                ("claimed_at", models.DateTimeField(null=True)),
                ("failures", models.IntegerField()),
                ("failed_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(null=True)),
                ("parked_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "dunning_claims", "ordering": ["-failed_at"], "managed": False},
        ),
    ]

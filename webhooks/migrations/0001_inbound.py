"""The inbox of Stripe's events; models of what the staff sees of it."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True
    dependencies = [("billing", "0013_mirroring")]

    operations = [
        sql_operation(__file__, "0001_inbound.sql"),
        migrations.CreateModel(
            name="StripeEvent",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("source", models.TextField()),
                ("account", models.TextField()),
                ("event", models.TextField()),
                ("type", models.TextField()),
                ("api_version", models.TextField(null=True)),
                ("livemode", models.BooleanField(null=True)),
                ("created", models.DateTimeField()),
                ("via", models.TextField()),
                ("secret", models.SmallIntegerField(help_text="0 is the newest of the secrets", null=True)),
                ("body", models.BinaryField()),
                ("kind", models.TextField()),
                ("object_id", models.TextField()),
                ("subject", models.TextField()),
                ("state", models.TextField()),
                ("reason", models.TextField(null=True)),
                ("detail", models.TextField(null=True)),
                ("attempts", models.SmallIntegerField()),
                ("parkings", models.SmallIntegerField()),
                ("next_at", models.DateTimeField(null=True)),
                ("received_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "stripe_events",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="StripeWatermark",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("account", models.TextField()),
                ("types", models.TextField()),
                ("event", models.TextField(null=True)),
                ("created", models.DateTimeField(null=True)),
                ("read_at", models.DateTimeField()),
                ("swept_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "stripe_watermarks",
                "ordering": ["account", "types"],
                "managed": False,
            },
        ),
    ]

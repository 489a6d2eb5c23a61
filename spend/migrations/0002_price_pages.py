"""What Django reads the price book's other tables as; they are made by 0001 (managed = False)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spend", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="PriceChange",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("provider", models.TextField()),
                ("model", models.TextField()),
                ("status", models.TextField()),
                ("current", models.JSONField()),
                ("proposal", models.JSONField()),
                ("source", models.TextField()),
                ("source_version", models.TextField()),
                ("source_digest", models.TextField()),
                ("proposed_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(null=True)),
                ("decided_by", models.TextField(null=True)),
                ("reason", models.TextField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "price_changes", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="Markup",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("ppm", models.BigIntegerField()),
                ("valid_from", models.DateTimeField()),
                ("valid_to", models.DateTimeField(null=True)),
                ("reason", models.TextField()),
                ("published_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "markups", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="ExchangeRate",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("base", models.TextField()),
                ("quote", models.TextField()),
                ("rate", models.BigIntegerField()),
                ("markup_ppm", models.BigIntegerField()),
                ("valid_from", models.DateTimeField()),
                ("valid_to", models.DateTimeField(null=True)),
                ("source", models.TextField()),
                ("published_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "fx_rates", "ordering": ["-id"], "managed": False},
        ),
    ]

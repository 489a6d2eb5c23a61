"""Tax rates that the platform enters; their model for the staff."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0029_staff_pages")]

    operations = [
        sql_operation(__file__, "0030_tax_rates.sql"),
        migrations.CreateModel(
            name="TaxRate",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("country", models.TextField()),
                ("tax_code", models.TextField()),
                ("ppm", models.IntegerField(null=True)),
                ("valid_from", models.DateField()),
                ("valid_to", models.DateField(null=True)),
                ("source", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "tax_rates", "ordering": ["-id"], "managed": False},
        ),
    ]

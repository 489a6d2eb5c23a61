"""How customers in arrears stand; the model of what the staff sees of it."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0009_pace")]

    operations = [
        sql_operation(__file__, "0010_standings.sql"),
        migrations.CreateModel(
            name="Standing",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("standing", models.TextField()),
                ("since", models.DateTimeField()),
                ("per_minute", models.IntegerField(null=True)),
                ("case_id", models.UUIDField(null=True)),
                ("spends_credit", models.BooleanField()),
                ("version", models.IntegerField()),
            ],
            options={"db_table": "standings", "ordering": ["-since", "id"], "managed": False},
        ),
    ]

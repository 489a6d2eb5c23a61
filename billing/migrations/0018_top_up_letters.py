"""The letter that automatic top-ups have stopped; its model for the staff."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0017_mirrored_attempts")]

    operations = [
        sql_operation(__file__, "0018_top_up_letters.sql"),
        migrations.CreateModel(
            name="AutoTopUpLetter",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("rule", models.UUIDField()),
                ("made_at", models.DateTimeField()),
                ("status", models.TextField()),
                ("attempts", models.IntegerField()),
                ("next_try_at", models.DateTimeField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "auto_top_up_letters", "ordering": ["-made_at", "id"], "managed": False},
        ),
    ]

"""The letters that documents go out with; their model for the staff."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0023_agreed_prices")]

    operations = [
        sql_operation(__file__, "0024_document_letters.sql"),
        migrations.CreateModel(
            name="DocumentLetter",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("document", models.UUIDField()),
                ("kind", models.TextField()),
                ("made_at", models.DateTimeField()),
                ("status", models.TextField()),
                ("attempts", models.IntegerField()),
                ("next_try_at", models.DateTimeField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "document_letters", "ordering": ["-made_at", "id"], "managed": False},
        ),
    ]

"""A subscriber's try is written down before it is made. Django reads the column (managed = False)."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AddField("Subscriber", "attempted_at", models.DateTimeField(null=True)),
        sql_operation(__file__, "0002_attempts.sql"),
    ]

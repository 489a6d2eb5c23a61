"""The application's roles make the months that are due, and no others."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("events", "0002_attempts")]

    operations = [sql_operation(__file__, "0003_months.sql")]

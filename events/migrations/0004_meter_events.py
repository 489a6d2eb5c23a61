"""Seals cover meter events."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("events", "0003_months")]

    operations = [sql_operation(__file__, "0004_meter_events.sql")]

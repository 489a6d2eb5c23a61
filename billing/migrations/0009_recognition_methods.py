"""Fees that are revenue by local days, or as much for every month."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_counting_windows")]

    operations = [sql_operation(__file__, "0009_recognition_methods.sql")]

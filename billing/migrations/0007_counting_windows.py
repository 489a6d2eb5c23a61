"""The windows in which metered periods are counted."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_recognition")]

    operations = [sql_operation(__file__, "0007_counting_windows.sql")]

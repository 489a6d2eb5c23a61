"""The line that brings an invoice's total to what can be charged."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0026_progressive")]

    operations = [sql_operation(__file__, "0027_rounding_lines.sql")]

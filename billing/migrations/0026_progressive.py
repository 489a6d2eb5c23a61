"""Several thresholds of progressive billing, and what the last invoice of a period states."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0024_document_letters")]

    operations = [sql_operation(__file__, "0026_progressive.sql")]

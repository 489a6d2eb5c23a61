"""From when on an organization's books are open."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_funding_sources")]

    operations = [sql_operation(__file__, "0003_closed_books.sql")]

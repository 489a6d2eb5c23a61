"""Postpaid lines that plans open and close."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_closed_books")]

    operations = [sql_operation(__file__, "0004_lines.sql")]

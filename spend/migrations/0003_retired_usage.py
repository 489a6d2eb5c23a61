"""Sums of usage records whose months were retired."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0002_price_pages"), ("events", "0003_months")]

    operations = [sql_operation(__file__, "0003_retired_usage.sql")]

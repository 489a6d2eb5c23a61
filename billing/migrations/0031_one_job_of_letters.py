"""One job sends all letters: what the three before it left would count as failing for ever, if it did."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0030_tax_rates")]

    operations = [sql_operation(__file__, "0031_one_job_of_letters.sql")]

"""What reversals took off the debt of accounts: only that leaves the list of what became debt."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0012_statement_addressees")]

    operations = [sql_operation(__file__, "0013_reversed_debt.sql")]

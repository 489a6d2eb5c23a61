"""What reversals took off the debt of accounts: only that leaves the list of what became debt. And the rounds in which a
batch of payouts could not ask everybody."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0012_statement_addressees")]

    operations = [
        sql_operation(__file__, "0013_reversed_debt.sql"),
        sql_operation(__file__, "0013_batch_rounds.sql"),
    ]

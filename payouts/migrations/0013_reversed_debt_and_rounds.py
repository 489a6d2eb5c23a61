"""Of debt only what a reversal took off the account leaves the list; the rounds in which a batch could not ask all."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0012_statement_addressees")]

    operations = [
        sql_operation(__file__, "0013_reversed_debt.sql"),
        sql_operation(__file__, "0013_batch_rounds.sql"),
    ]

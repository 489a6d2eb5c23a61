"""Who a partner's statement is made out to."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0011_owing")]

    operations = [sql_operation(__file__, "0012_statement_addressees.sql")]

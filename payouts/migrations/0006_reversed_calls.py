"""Which calls were reversed: what of them stands on an invoice goes back."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0005_shared_hours")]

    operations = [sql_operation(__file__, "0006_reversed_calls.sql")]

"""The party's own part of the charges beside the whole of them."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0007_guarded_payouts")]

    operations = [sql_operation(__file__, "0008_own_parts.sql")]

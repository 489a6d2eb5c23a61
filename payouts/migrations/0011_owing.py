"""What became debt otherwise than by calls, and what repaid it; and calls of commitments that were reversed."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0010_references")]

    operations = [sql_operation(__file__, "0011_owing.sql")]

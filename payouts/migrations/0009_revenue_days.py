"""What was earned, by day."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0008_own_parts")]

    operations = [sql_operation(__file__, "0009_revenue_days.sql")]

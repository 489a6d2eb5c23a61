"""What partners got of calls, by hour, agent and model."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0004_reversals")]

    operations = [sql_operation(__file__, "0005_shared_hours.sql")]

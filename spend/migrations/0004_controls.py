"""What the gate obeys beside money: thresholds, limits, run policies, switches, overrides, approvals, incidents."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0003_retired_usage")]

    operations = [sql_operation(__file__, "0004_controls.sql")]

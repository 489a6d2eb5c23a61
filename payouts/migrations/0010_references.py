"""A secret of each partner's own, by which its references of customers are made."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0009_revenue_days")]

    operations = [sql_operation(__file__, "0010_references.sql")]

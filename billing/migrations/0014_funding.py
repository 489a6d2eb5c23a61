"""Plans that leave funding to the organization."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_mirroring"), ("spend", "0011_entitlements")]

    operations = [sql_operation(__file__, "0014_funding.sql")]

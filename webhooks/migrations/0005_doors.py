"""The process that owns the port stores what Stripe delivers."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_reconciliation_subjects")]

    operations = [sql_operation(__file__, "0005_doors.sql")]

"""Payments of invoices that live at the processor, and who is handed out by dunning's timer."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0014_funding")]

    operations = [sql_operation(__file__, "0015_mirrored_payments.sql")]

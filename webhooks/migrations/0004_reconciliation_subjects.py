"""What a difference or money in suspense is about is found by its subject, however many there are."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0003_reconciliation"), ("billing", "0011_payments")]

    operations = [sql_operation(__file__, "0004_reconciliation_subjects.sql")]

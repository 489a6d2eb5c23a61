"""Payments that nobody asked for and that finance gave an organization."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0018_top_up_letters")]

    operations = [sql_operation(__file__, "0022_assigned_payments.sql")]

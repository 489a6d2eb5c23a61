"""Invoice items, and the invoices that take them."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_subscriptions")]

    operations = [
        sql_operation(__file__, "0004_invoice_items.sql"),
        sql_operation(__file__, "0004_invoices.sql"),
    ]

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True
    dependencies = [("ledger", "0001_initial")]
    operations = [
        sql_operation(__file__, "0001_prices.sql"),
        sql_operation(__file__, "0002_gate.sql"),
    ]

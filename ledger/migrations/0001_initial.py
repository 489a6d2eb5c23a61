from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True
    dependencies = [("orgs", "0001_initial")]
    operations = [
        sql_operation(__file__, "0001_ledger.sql"),
    ]

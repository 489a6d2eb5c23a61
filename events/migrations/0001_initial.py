from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        sql_operation(__file__, "0001_events.sql"),
    ]

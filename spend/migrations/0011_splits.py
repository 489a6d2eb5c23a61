"""Who shares in what calls of a listing are charged."""

from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0010_standings")]

    operations = [sql_operation(__file__, "0011_splits.sql")]

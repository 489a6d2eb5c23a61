"""Dunning by overdue balance: the campaigns of a case."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0027_rounding_lines")]

    operations = [
        sql_operation(__file__, "0028_campaigns.sql"),
        migrations.AddField("dunningcase", "campaigns", models.JSONField(null=True)),
    ]

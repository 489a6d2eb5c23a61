"""A contract's prices of a plan's charges, where they are charged."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0022_assigned_payments")]

    operations = [
        sql_operation(__file__, "0023_agreed_prices.sql"),
        migrations.AddField("subscription", "agreed", models.JSONField(null=True)),
        migrations.AddField("meteredperiod", "agreed", models.JSONField(null=True)),
    ]

"""Mirrored invoices know how often their payment was tried."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0016_dunning_trouble")]

    operations = [
        sql_operation(__file__, "0017_mirrored_attempts.sql"),
        migrations.AddField("mirroredinvoice", "attempts", models.IntegerField(null=True)),
    ]

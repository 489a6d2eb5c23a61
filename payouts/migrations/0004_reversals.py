"""The reversals of a payout's transfer, by which its rows of the processor's balance are known."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0003_metrics")]

    operations = [
        sql_operation(__file__, "0004_reversals.sql"),
        migrations.AddField(
            "Payout", "reversals", models.JSONField(null=True, help_text="10^-8 units by id; of the transfer")
        ),
    ]

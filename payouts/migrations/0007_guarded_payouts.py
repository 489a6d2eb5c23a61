"""Who approved first what nobody stands behind, when a payout's transfer was made, and what brings it back."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0006_reversed_calls")]

    operations = [
        sql_operation(__file__, "0007_guarded_payouts.sql"),
        migrations.AddField("Payout", "first_approved_by", models.TextField(null=True)),
        migrations.AddField(
            "Payout",
            "sent_at",
            models.DateTimeField(null=True, help_text="when its transfer was made, by the processor's clock"),
        ),
        migrations.AddField(
            "Payout",
            "recall",
            models.TextField(null=True, help_text="the payout there that brings it back from the bank"),
        ),
    ]

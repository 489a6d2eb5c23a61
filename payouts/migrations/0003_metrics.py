"""Levels, movements and months of revenue metrics."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0002_payouts"), ("events", "0004_meter_events")]

    operations = [
        sql_operation(__file__, "0003_metrics.sql"),
        migrations.CreateModel(
            name="RevenueMetrics",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={"verbose_name_plural": "revenue metrics", "managed": False},
        ),
    ]

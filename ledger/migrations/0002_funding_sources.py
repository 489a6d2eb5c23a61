"""What a grant is for, what of it is a gift, and when its breakage is due."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        sql_operation(__file__, "0002_funding_sources.sql"),
        migrations.AddField("CreditGrant", "funding_source", models.TextField()),
        migrations.AddField("CreditGrant", "gift", models.BigIntegerField(help_text="10^-8 units")),
        migrations.AddField("CreditGrant", "breaks_at", models.DateTimeField(null=True)),
    ]

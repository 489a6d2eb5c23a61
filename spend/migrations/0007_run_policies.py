"""Models of run_policies."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("spend", "0006_rate_limits")]

    operations = []

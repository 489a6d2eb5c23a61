"""Models of rate_limits."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("spend", "0005_switches")]

    operations = []
